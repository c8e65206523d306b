"""Data to examples, the one way that training, the report and the Data screen all take."""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from trainer_core.config.data_section import SPLITS, DataSection, SplitName
from trainer_core.data.conversations import Conversation
from trainer_core.data.opening import OpenSource, no_rows, open_sources
from trainer_core.data.problems import UNUSABLE
from trainer_core.data.questions import RowPrompt
from trainer_core.data.report import DataReport, FoundProblem, Lengths, SourceReport, SplitReport
from trainer_core.data.row_view import RowView
from trainer_core.data.rows import Row
from trainer_core.data.splits import spread
from trainer_core.errors import UserError
from trainer_core.tokens.columns import Array
from trainer_core.tokens.encode_chunk import EncoderSetup
from trainer_core.tokens.encode_data import Progress, encode_data, quiet
from trainer_core.tokens.examples import Encoder, Example
from trainer_core.tokens.limit import Limit
from trainer_core.tokens.row_views import view_of
from trainer_core.tokens.selection import Selection, Split, recut, select
from trainer_core.tokens.store import Store
from trainer_core.tokens.texts import Texts

BINS = 40
_HELD_OUT_FIRST: tuple[SplitName, ...] = ("validation", "test", "train")


class Examples:
    """The examples of a split, by number; the tokens stay in the file until they are asked for."""

    def __init__(self, store: Store, split: Split) -> None:
        self._store = store
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Example:
        split = self.split
        if not 0 <= index < len(split):
            raise IndexError(index)
        return self._store.example(
            int(split.rows[index]), int(split.starts[index]), int(split.stops[index])
        )

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))

    def chosen(self, numbers: Array) -> "Examples":
        """Those with these numbers, in this order."""
        return Examples(self._store, self.split.chosen(numbers))

    def joined(self, *others: "Examples") -> "Examples":
        """These and others of the same data, one after the other."""
        return Examples(self._store, self.split.joined(*(other.split for other in others)))

    def within(self, limit: int | None, too_long: str) -> "Examples":
        """None longer than `limit` tokens: others are cut as `data.too_long` says. Raises UserError
        where it says to stop."""
        if limit is None:
            return self
        return Examples(self._store, recut(self._store, self.split, limit, too_long))

    @property
    def lengths(self) -> Array:
        """Tokens of each example, int64 [examples]."""
        return self.split.stops.astype(np.int64) - self.split.starts

    def fingerprint(self) -> str:
        """What the examples say and where each is cut: SHA-256, in hex."""
        digest = hashlib.sha256(self._store.columns["text"][self.split.rows].tobytes())
        digest.update(self.split.starts.tobytes() + self.split.stops.tobytes())
        return digest.hexdigest()

    @property
    def trained_tokens(self) -> int:
        """How many tokens of all examples are trained."""
        split, columns = self.split, self._store.columns
        cut = np.flatnonzero(split.stops - split.starts != columns["length"][split.rows])
        trained = columns["trained"][split.rows]
        trained[cut] = [self[index].trained_tokens for index in cut.tolist()]
        return int(trained.sum(dtype=np.int64))


class Prepared:
    """A dataset, read to the end: its examples, what is known of it, and every row of it."""

    def __init__(
        self,
        sources: list[OpenSource],
        store: Store,
        selection: Selection,
        encoder: Encoder | None,
        report: DataReport,
        texts: Texts,
        limit: Limit,
    ) -> None:
        self._sources = sources
        self._store = store
        self._selection = selection
        self.encoder = encoder
        self._texts = texts
        self.report = report
        self.limit = limit
        self.splits = {name: Examples(store, split) for name, split in selection.splits.items()}

    def sources_of(self, examples: Examples) -> Array:
        """Which source of the config each example comes from, counted from 0: int64 [examples]."""
        firsts = np.array(self._store.notes.sources)
        return np.searchsorted(firsts, examples.split.rows, side="right") - 1

    def texts_of(self, examples: Examples) -> Array:
        """The same number for examples whose rows say the same: uint64 [examples]."""
        return np.asarray(self._store.columns["text"][examples.split.rows])

    def place(self, row: int) -> tuple[SplitName, int]:
        """Where the row with this number is shown: its split, and its index there."""
        name: SplitName = SPLITS[self._selection.split_of[row]]
        return name, int(np.searchsorted(self._shown(name), row))

    def rows_in(self, split: SplitName) -> int:
        """How many rows the split has, those that were dropped included."""
        return len(self._shown(split))

    def view(self, split: SplitName, index: int) -> RowView:
        """A row with its turns and tokens. Raises IndexError."""
        rows = self._shown(split)
        if not 0 <= index < len(rows):
            raise IndexError(index)
        row = int(rows[index])
        limit = self.report.max_length if self.report.too_long != "split" else None
        read, example = self._texts.reader_of(row), self._store.example(row)
        view = view_of(self._texts.row(row), read, example, self.encoder, limit)
        view.split, view.index, view.row = split, index, row
        found = self._selection.problems + self._store.problems
        view.problems = [problem.message for problem in found if problem.row == row]
        return view

    def search(self, split: SplitName, text: str, start: int = 0) -> int | None:
        """The index of the first row from `start` on that holds `text`, whatever its case."""
        wanted = text.casefold()
        numbers = self._shown(split)[start:].tolist()
        for index, row in enumerate(self._texts.rows(numbers), start):
            if any(wanted in string.casefold() for string in _strings(row.data)):
                return index
        return None

    def conversations(self, split: SplitName, count: int | None = None) -> Iterator[Conversation]:
        """What the rows of the split's examples say; `count` of them, spread evenly over all."""
        rows = self._in_use(split)
        rows = rows[spread(len(rows), count)]
        return (self._texts.conversation(int(row)) for row in rows)

    def prompt(self, split: SplitName | None, index: int) -> RowPrompt:
        """What a row in use asks, and the answer that is expected; without a split, of what is not
        trained on, if there is any. Raises UserError where that may not be seen, or asks nothing.
        """
        if any(source.given.encryption is not None for source in self._sources):
            raise UserError("the data is encrypted, and the transcript would hold it in clear")
        in_use = [name for name in _HELD_OUT_FIRST if len(self._in_use(name))]
        name = split if split is not None else next(iter(in_use), _HELD_OUT_FIRST[-1])
        rows = self._in_use(name)
        if not len(rows):
            raise UserError(f"the data has no rows for {name}")
        index %= len(rows)
        talk = self._texts.conversation(int(rows[index]))
        found = talk.question()
        if found is None:
            raise UserError("this row is a text, which asks nothing", where=talk.where)
        turns, answer = found
        return RowPrompt(
            split=name,
            index=index,
            rows=len(rows),
            where=talk.where,
            turns=list(turns),
            tools=list(talk.tools),
            expected=answer.content,
        )

    def raw_rows(self, split: SplitName) -> Iterator[Row]:
        """The rows that the split's examples were made from, as read, each once."""
        return self._texts.rows(self._in_use(split).tolist())

    def _in_use(self, split: SplitName) -> Array:
        """The rows that the split's examples were made from, each once."""
        return np.unique(self.splits[split].split.rows)

    def _shown(self, split: SplitName) -> Array:
        return np.flatnonzero(self._selection.split_of == SPLITS.index(split))


def prepare(
    data: DataSection,
    setup: EncoderSetup | None,
    limit: Limit,
    seed: int,
    *,
    workers: int = 1,
    progress: Progress = quiet,
) -> Prepared:
    """Read, check, encode and split the data; what was done before comes from the cache.

    `limit` says how long an example may be. `setup` is None where no model is known: then rows are
    read and checked, and nothing is counted in tokens. Raises UserError, and whatever `progress`
    raises.
    """
    began = time.monotonic()
    sources = open_sources(data)
    encoder = setup.make() if setup is not None else None
    store, cached = encode_data(data, sources, setup, encoder, workers=workers, progress=progress)
    if store.rows == 0:
        raise no_rows(sources)
    texts = Texts(sources, store.notes.sources)
    splits = [source.split for source in sources]
    lengths = store.columns["length"][store.columns["problem"] == 0].astype(np.int64)
    max_length = limit(lengths) if callable(limit) else limit
    selection = select(data, store, splits, max_length, seed)
    report = _report(data, sources, store, selection, max_length)
    report.model = setup.name if setup is not None else None
    report.seconds, report.cached = time.monotonic() - began, cached
    return Prepared(sources, store, selection, encoder, report, texts, limit)


def _report(
    data: DataSection,
    sources: list[OpenSource],
    store: Store,
    selection: Selection,
    max_length: int | None,
) -> DataReport:
    firsts = [*store.notes.sources, store.rows]
    problems = sorted(store.problems + selection.problems, key=lambda problem: problem.row)
    return DataReport(
        sources=[
            SourceReport(
                name=source.given.name,
                format=source.detection.format,
                why=source.detection.why,
                rows=firsts[number + 1] - firsts[number],
            )
            for number, source in enumerate(sources)
        ],
        splits=[
            _split_report(store, split) for split in selection.splits.values() if len(split.whole)
        ],
        rows=store.rows,
        max_length=max_length,
        too_long=data.too_long,
        counts=(counts := dict(store.counts() + selection.counts)),
        fates={kind: _fate(data, kind, max_length) for kind in counts},
        problems=[
            FoundProblem(kind=p.kind, where=p.where, row=p.row, message=p.message) for p in problems
        ],
    )


def _fate(data: DataSection, kind: str, max_length: int | None) -> str:
    if kind in UNUSABLE:
        return "dropped"
    if kind == "too long":
        cut = f"{max_length:,} tokens"
        fates = {"truncate": f"cut off at {cut}", "split": f"split at {cut}"}
        return fates.get(data.too_long, f"dropped (over {cut})")
    settings = {"duplicate": data.duplicates, "near duplicate": data.near_duplicates}
    return "dropped" if settings.get(kind) == "drop" else "kept"


def _split_report(store: Store, split: Split) -> SplitReport:
    examples = Examples(store, split)
    return SplitReport(
        name=split.name,
        rows=_distinct(split.rows),
        examples=len(split),
        tokens=int(examples.lengths.sum()),
        trained_tokens=examples.trained_tokens,
        lengths=_lengths(store.columns["length"][split.whole]),
        too_long=split.too_long,
        tokens_lost=split.tokens_lost,
        trained_tokens_lost=split.trained_tokens_lost,
    )


def _distinct(rows: Array) -> int:
    """How many different numbers; the same ones stand together."""
    return int(np.count_nonzero(rows[1:] != rows[:-1])) + bool(len(rows))


def _lengths(lengths: Array) -> Lengths:
    if not len(lengths):
        return Lengths()
    top = int(lengths.max())
    p50, p95, p99 = (int(value) for value in np.percentile(lengths, [50, 95, 99]))
    counts, _ = np.histogram(lengths, bins=BINS, range=(0, max(top, 1)))
    return Lengths(
        p50=p50, p95=p95, p99=p99, max=top, mean=float(lengths.mean()), histogram=counts.tolist()
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
