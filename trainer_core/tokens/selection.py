"""Which rows become examples of which split: a matter of numbers alone, after the pass."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trainer_core.config.data_section import SPLITS, DataSection, SplitName
from trainer_core.data.duplicates import exact_duplicates
from trainer_core.data.leakage import leaks
from trainer_core.data.problems import LISTED, SETTINGS, Kind, Problem, stops
from trainer_core.data.splits import RowKeys, assign, weighted
from trainer_core.errors import UserError
from trainer_core.tokens.store import Store

Rows = npt.NDArray[np.int64]
Places = npt.NDArray[np.uint32]


@dataclass
class Split:
    """The examples of a split: tokens [start, stop) of each row, all [examples]; the rows that they
    were made from (`whole`), and what became of those over the limit."""

    name: SplitName
    rows: Rows
    starts: Places
    stops: Places
    whole: Rows
    too_long: int = 0
    tokens_lost: int = 0
    trained_tokens_lost: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def chosen(self, order: Rows) -> "Split":
        """The examples with these numbers, in this order."""
        rows = self.rows[order]
        return Split(self.name, rows, self.starts[order], self.stops[order], whole=rows)

    def joined(self, *others: "Split") -> "Split":
        """The examples of this split and of others, one after the other."""
        every = (self, *others)
        rows = np.concatenate([split.rows for split in every])
        starts = np.concatenate([split.starts for split in every])
        stops = np.concatenate([split.stops for split in every])
        return Split(self.name, rows, starts, stops, whole=rows)

    def take(self, order: Rows) -> None:
        """Keep the examples with these numbers, in this order."""
        self.rows, self.starts = self.rows[order], self.starts[order]
        self.stops = self.stops[order]

    def add(self, further: Rows) -> None:
        """More examples, as (row, start, stop) each: those of a row stand together."""
        self.rows = np.concatenate([self.rows, further[:, 0]])
        self.starts = np.concatenate([self.starts, further[:, 1].astype(np.uint32)])
        self.stops = np.concatenate([self.stops, further[:, 2].astype(np.uint32)])
        self.take(np.lexsort((self.starts, self.rows)))


@dataclass
class Selection:
    """All splits, the split of each row (uint8), and the problems that were found on the way."""

    splits: dict[SplitName, Split]
    split_of: npt.NDArray[np.uint8]
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    def add(self, kind: Kind, store: Store, rows: Rows, message: Callable[[int], str]) -> None:
        """Count a problem of `rows`, and list the first; `message` says what the nth one's is."""
        listed = self.counts[kind]
        if len(rows):
            self.counts[kind] += len(rows)
        for number, row in enumerate(rows[: max(0, LISTED - listed)].tolist()):
            self.problems.append(Problem(kind, store.where(row), message(number), row))


def select(
    data: DataSection,
    store: Store,
    source_splits: list[SplitName],
    max_length: int | None,
    seed: int,
) -> Selection:
    """Split the rows of `store`, drop what `data` says to drop, and cut what is too long.

    `source_splits` says whose the rows of each source are; those of train are shared out unless
    others are named. Raises UserError where `data` says to stop.
    """
    selection = Selection({}, _split_rows(data, store, source_splits))
    usable = store.columns["problem"] == 0
    usable &= _long_enough(data, store, usable, selection)
    near = _same(data, store, usable, selection)
    _leaks(store, usable, selection, near)
    _stop_if_strict(data, selection)
    weights = [source.weight for source in [*data.train, *data.validation, *data.test]]
    for number, name in enumerate(SPLITS):
        rows = np.flatnonzero(usable & (selection.split_of == number)).astype(np.int64)
        split = _cut(data, store, name, rows, max_length, selection)
        if name == "train" and any(weight != 1 for weight in weights):
            _weigh(store, split, weights, seed)
        selection.splits[name] = split
    _stop_if_strict(data, selection)
    return selection


def _split_rows(
    data: DataSection, store: Store, source_splits: list[SplitName]
) -> npt.NDArray[np.uint8]:
    split_of = np.zeros(store.rows, dtype=np.uint8)
    firsts = [*store.notes.sources, store.rows]
    for number, name in enumerate(source_splits):
        split_of[firsts[number] : firsts[number + 1]] = SPLITS.index(name)
    train = firsts[sum(name == "train" for name in source_splits)]
    wanted = data.split
    if train == store.rows:  # no other files are named
        keys = RowKeys(
            train,
            store.columns["group"][:train] if wanted.group else None,
            store.columns["stratum"][:train] if wanted.stratify else None,
            store.notes.row_ids[:train] or None,
        )
        split_of[:train] = assign(wanted, keys)
    return split_of


def _long_enough(
    data: DataSection, store: Store, usable: npt.NDArray[np.bool_], selection: Selection
) -> npt.NDArray[np.bool_]:
    long_enough = np.ones(store.rows, dtype=np.bool_)
    if data.min_tokens == 0:
        return long_enough
    long_enough = store.columns["length"] >= data.min_tokens
    rows = np.flatnonzero(usable & ~long_enough)
    lengths = store.columns["length"][rows]
    selection.add("too short", store, rows, lambda n: f"{lengths[n]} tokens: too short")
    return long_enough


def _same(
    data: DataSection, store: Store, usable: npt.NDArray[np.bool_], selection: Selection
) -> Rows:
    """Usable rows that say almost the same as an earlier one, each with that one: [pairs, 2]. Rows
    to be dropped leave `usable`."""
    numbers = np.flatnonzero(usable)
    exact = numbers[exact_duplicates(store.columns["text"][numbers])]
    del numbers
    near = _with_copies(store.near[usable[store.near].all(axis=1)], exact)

    def says(how: str, pairs: Rows) -> Callable[[int], str]:
        return lambda n: f"says {how} as {store.where(pairs[n, 1])}"

    selection.add("duplicate", store, exact[:, 0], says("the same", exact))
    selection.add("near duplicate", store, near[:, 0], says("almost the same", near))
    if data.duplicates == "drop":
        usable[exact[:, 0]] = False
    if data.near_duplicates == "drop":
        usable[near[:, 0]] = False
    return near


def _with_copies(near: Rows, exact: Rows) -> Rows:
    """`near` and, for every exact copy of a row in it, the copy with that row's partner; rising."""
    if not len(near):
        return near
    place = np.minimum(np.searchsorted(near[:, 0], exact[:, 1]), len(near) - 1)
    copied = near[place, 0] == exact[:, 1]
    copies = np.stack([exact[copied, 0], near[place[copied], 1]], axis=1)
    every = np.concatenate([near, copies])
    return every[np.argsort(every[:, 0], kind="stable")]


def _leaks(
    store: Store,
    usable: npt.NDArray[np.bool_],
    selection: Selection,
    near: Rows,
) -> None:
    in_train = selection.split_of == SPLITS.index("train")
    columns = store.columns
    found = leaks(usable & in_train, usable & ~in_train, columns["text"], columns["prompt"], near)

    def message(number: int) -> str:
        leak = found[number]
        split = SPLITS[selection.split_of[leak.row]]
        return f"in {split}, and {leak.kind} in train ({store.where(leak.other)})"

    rows = np.array([leak.row for leak in found], dtype=np.int64)
    selection.add("in two splits", store, rows, message)


def _cut(
    data: DataSection,
    store: Store,
    name: SplitName,
    rows: Rows,
    max_length: int | None,
    selection: Selection,
) -> Split:
    """The rows as examples, none longer than `max_length`."""
    lengths = store.columns["length"][rows]
    split = Split(name, rows, np.zeros_like(lengths), lengths, whole=rows)
    if max_length is None:
        return split
    over = np.flatnonzero(lengths > max_length)
    if not len(over):
        return split
    long, lengths = rows[over], lengths[over]
    trained = store.columns["trained"][long].astype(np.int64)
    within = np.array([store.trained_before(row, max_length) for row in long.tolist()])
    split.too_long = len(over)
    split.tokens_lost = int(lengths.sum(dtype=np.int64)) - max_length * len(over)
    split.trained_tokens_lost = int((trained - within).sum())

    def message(number: int) -> str:
        share = 1 - within[number] / trained[number]  # what trains nothing has no place here
        return (
            f"{lengths[number]:,} tokens, over {max_length:,}: {share:.0%} of its answers lie "
            "beyond"
        )

    selection.add("too long", store, long, message)
    split.stops[over] = max_length
    gone = over if data.too_long in {"drop", "strict"} else over[within == 0]
    split.take(np.delete(np.arange(len(split)), gone))
    if data.too_long == "split":
        split.add(_windows(store, long, max_length))
    return split


def recut(store: Store, split: Split, limit: int, too_long: str) -> Split:
    """The examples of `split` once more, none longer than `limit` tokens. Pieces in which nothing
    is trained are left out. Raises UserError where `too_long` is strict."""
    over = split.stops - split.starts > limit
    pieces = []
    for number in np.flatnonzero(over).tolist():
        row, start, stop = (int(x[number]) for x in (split.rows, split.starts, split.stops))
        if too_long == "strict":
            said = f"{stop - start:,} tokens, and the stage takes {limit:,}"
            hint = "Say what becomes of such rows: data.too_long."
            raise UserError(said, where=store.where(row), hint=hint)
        last = {"drop": start, "split": stop}.get(too_long, start + limit)
        for first in range(start, last, limit):
            end = min(first + limit, last)
            if store.trained_before(row, end) > store.trained_before(row, first):
                pieces.append((row, first, end))
    fitting = split.chosen(np.flatnonzero(~over))
    fitting.add(np.array(pieces, dtype=np.int64).reshape(-1, 3))
    return fitting


def _weigh(store: Store, split: Split, weights: list[float], seed: int) -> None:
    sources = np.searchsorted(store.notes.sources, split.rows, side="right") - 1
    split.take(weighted(sources, weights, seed))


def _windows(store: Store, rows: Rows, size: int) -> Rows:
    """Where rows go on after their first window, as far as anything is trained there: row, start
    and stop of each, [windows, 3]."""
    windows = []
    for row in rows.tolist():
        length = int(store.columns["length"][row])
        before = store.trained_before(row, size)
        for start in range(size, length, size):
            stop = min(start + size, length)
            trained = store.trained_before(row, stop)
            if trained > before:
                windows.append((row, start, stop))
            before = trained
    return np.array(windows, dtype=np.int64).reshape(-1, 3)


def _stop_if_strict(data: DataSection, selection: Selection) -> None:
    for problem in selection.problems:
        if stops(data, problem.kind):
            setting = SETTINGS.get(problem.kind)
            said = f"Mend the row, or say what becomes of such rows: data.{setting}."
            hint = said if setting else problem.error().hint
            raise UserError(problem.message, where=problem.where, hint=hint)
