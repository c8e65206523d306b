"""Which rows become examples of which split: a matter of numbers alone, after the pass."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trainer_core.config.data_section import SPLITS, DataSection, SplitName
from trainer_core.data.duplicates import exact_duplicates
from trainer_core.data.leakage import leaks
from trainer_core.data.problems import LISTED, Kind, Problem
from trainer_core.data.splits import RowKeys, assign, weighted
from trainer_core.errors import UserError
from trainer_core.tokens.store import Store

Rows = npt.NDArray[np.int64]
Places = npt.NDArray[np.uint32]
STRICT = {"too long": "too_long", "duplicate": "duplicates", "near duplicate": "near_duplicates"}


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

    def add(self, kind: Kind, store: Store, row: int, message: str) -> None:
        """Count a problem and list the first of its kind."""
        self.counts[kind] += 1
        if self.counts[kind] <= LISTED:
            self.problems.append(Problem(kind, store.where(row), message, row))


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
    earlier = _same(data, store, usable, selection)
    _leaks(store, usable, selection, earlier)
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
    for row in np.flatnonzero(usable & ~long_enough).tolist():
        message = f"{int(store.columns['length'][row])} tokens: too short"
        selection.add("too short", store, row, message)
    return long_enough


def _same(
    data: DataSection, store: Store, usable: npt.NDArray[np.bool_], selection: Selection
) -> dict[int, int]:
    """Row → an earlier row that says almost the same; rows to be dropped leave `usable`."""
    numbers = np.flatnonzero(usable)
    exact = numbers[exact_duplicates(store.columns["text"][numbers])]
    del numbers
    for row, earlier in exact.tolist():
        selection.add("duplicate", store, row, f"says the same as {store.where(earlier)}")
    near = {row: earlier for row, earlier in store.notes.near if usable[row] and usable[earlier]}
    for row, earlier in near.items():
        message = f"says almost the same as {store.where(earlier)}"
        selection.add("near duplicate", store, row, message)
    if data.duplicates == "drop":
        usable[exact[:, 0]] = False
    if data.near_duplicates == "drop":
        usable[list(near)] = False
    return near


def _leaks(
    store: Store,
    usable: npt.NDArray[np.bool_],
    selection: Selection,
    near: dict[int, int],
) -> None:
    in_train = selection.split_of == SPLITS.index("train")
    columns = store.columns
    found = leaks(usable & in_train, usable & ~in_train, columns["text"], columns["prompt"], near)
    for leak in found:
        message = (
            f"in {SPLITS[selection.split_of[leak.row]]}, and {leak.kind} in "
            f"train ({store.where(leak.other)})"
        )
        selection.add("in two splits", store, leak.row, message)


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
    keep = np.ones(len(split), dtype=np.bool_)
    further: list[tuple[int, int, int]] = []
    for index in np.flatnonzero(split.stops > max_length):
        row, length = int(split.rows[index]), int(split.stops[index])
        trained = int(store.columns["trained"][row])
        within = store.trained_before(row, max_length)
        lost = trained - within
        split.too_long += 1
        split.tokens_lost += length - max_length
        split.trained_tokens_lost += lost
        share = f"{lost / trained:.0%} of its answers lie" if trained else "it lies"
        message = f"{length:,} tokens, over {max_length:,}: {share} beyond"
        selection.add("too long", store, row, message)
        if data.too_long == "split":
            split.stops[index] = max_length
            keep[index] = within > 0
            further += _windows(store, row, length, max_length)
        elif data.too_long == "truncate" and within > 0:
            split.stops[index] = max_length
        else:
            keep[index] = False
    if not split.too_long:
        return split
    split.take(np.flatnonzero(keep))
    if further:
        split.add(np.array(further))
    return split


def _weigh(store: Store, split: Split, weights: list[float], seed: int) -> None:
    sources = np.searchsorted(store.notes.sources, split.rows, side="right") - 1
    split.take(weighted(sources, weights, seed))


def _windows(store: Store, row: int, length: int, size: int) -> list[tuple[int, int, int]]:
    """Where a row goes on after its first window, as far as anything is trained there."""
    windows = []
    before = store.trained_before(row, size)
    for start in range(size, length, size):
        stop = min(start + size, length)
        trained = store.trained_before(row, stop)
        if trained > before:
            windows.append((row, start, stop))
        before = trained
    return windows


def _stop_if_strict(data: DataSection, selection: Selection) -> None:
    for problem in selection.problems:
        setting = STRICT.get(problem.kind)
        if setting is not None and getattr(data, setting) == "strict":
            hint = f"Mend the row, or say what becomes of such rows: data.{setting}."
            raise UserError(problem.message, where=problem.where, hint=hint)
        if problem.kind == "too short" and data.problems == "strict":
            raise problem.error()
