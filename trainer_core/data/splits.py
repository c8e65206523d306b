"""Which split each row belongs to: decided by hashes of row numbers, so that the same data and seed
give the same splits everywhere, and by numbers alone, so that millions of rows are no matter."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer_core.config.data_section import SPLITS, SplitSection
from trainer_core.data.split_file import follow_split_file
from trainer_core.errors import UserError

TRAIN, VALIDATION, TEST = range(3)
DEFAULT_VALIDATION = 0.05
DEFAULT_AT_MOST = 200
Hashes = npt.NDArray[np.uint64]
SplitOf = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RowKeys:
    """What decides where rows go: how many there are; hashes of their group and stratum, uint64
    [count]; their ids. Each is None where the config asks for none."""

    count: int
    groups: Hashes | None = None
    strata: Hashes | None = None
    ids: Sequence[str] | None = None


def assign(split: SplitSection, keys: RowKeys) -> SplitOf:
    """The split of each row as an index of SPLITS: uint8 [count].

    Raises UserError where the split file and the rows disagree.
    """
    if split.file is not None:
        ids = keys.ids or [str(row + 1) for row in range(keys.count)]
        drawn = _draw(split, keys)
        return follow_split_file(Path(split.file), ids, drawn)
    return _draw(split, keys)


def key_hash(value: object) -> int:
    """A 64-bit hash of a cell, the same in every process."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def spread(rows: int, count: int | None) -> npt.NDArray[np.int64]:
    """Which of so many rows to take for `count` of them, spread evenly over all and always the
    same; all of them where there are no more, or None is asked for."""
    count = rows if count is None else min(count, rows)
    return np.arange(count) * rows // max(1, count)


def weighted(
    sources: npt.NDArray[np.integer], weights: Sequence[float], seed: int
) -> npt.NDArray[np.int64]:
    """Which of the rows count in an epoch, and how often: indices into `sources` ([rows], the
    source of each). A weight of 2.3 takes each row twice, and 3 of 10 once more, by seed."""
    every = np.array(weights, dtype=np.float64)[sources]
    whole = np.floor(every).astype(np.int64)
    chance = _hashes(len(sources), seed).astype(np.float64) / 2**64
    times = whole + (chance < every - whole)
    return np.repeat(np.arange(len(sources)), times)


def _draw(split: SplitSection, keys: RowKeys) -> SplitOf:
    shares = split.shares
    if shares is None:
        return _default(keys, split.seed)
    fractions = [shares.get(name, 0.0) for name in SPLITS]
    if keys.groups is not None and keys.strata is not None:
        raise UserError("data.split: group and stratify cannot be kept at once", hint="Choose one.")
    if keys.groups is not None:
        return _by_group(keys.groups, fractions, split.seed)
    if keys.strata is not None:
        return _by_stratum(keys.strata, fractions, split.seed)
    return _shared_out(_hashes(keys.count, split.seed), fractions)


def _default(keys: RowKeys, seed: int) -> SplitOf:
    """A few rows for validation: at least one, never all."""
    wanted = min(max(1, round(keys.count * DEFAULT_VALIDATION)), DEFAULT_AT_MOST)
    if keys.count < 2:
        wanted = 0
    share = wanted / keys.count if keys.count else 0.0
    if keys.groups is not None:
        return _by_group(keys.groups, [1 - share, share, 0.0], seed)
    return _shared_out(_hashes(keys.count, seed), [1 - share, share, 0.0])


def _shared_out(hashes: Hashes, fractions: Sequence[float]) -> SplitOf:
    """Exact shares: in the order of the hashes, the first rows are test, the next validation."""
    order = np.argsort(hashes, kind="stable")
    counts = _whole(fractions, len(hashes))
    split_of = np.full(len(hashes), TRAIN, dtype=np.uint8)
    split_of[order[: counts[TEST]]] = TEST
    split_of[order[counts[TEST] : counts[TEST] + counts[VALIDATION]]] = VALIDATION
    return split_of


def _by_group(groups: Hashes, fractions: Sequence[float], seed: int) -> SplitOf:
    """Whole groups, in the order of their seeded hashes, until a split has its share of rows."""
    names, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(_mixed(names, seed), kind="stable")
    before = np.concatenate([[0], np.cumsum(sizes[order])[:-1]])
    middle = (before + sizes[order] / 2) / max(1, len(groups))
    of_group = np.full(len(names), TRAIN, dtype=np.uint8)
    of_group[order[middle < fractions[TEST]]] = TEST
    inside = (middle >= fractions[TEST]) & (middle < fractions[TEST] + fractions[VALIDATION])
    of_group[order[inside]] = VALIDATION
    return of_group[place]


def _by_stratum(strata: Hashes, fractions: Sequence[float], seed: int) -> SplitOf:
    """The same shares of every stratum."""
    hashes = _hashes(len(strata), seed)
    split_of = np.zeros(len(strata), dtype=np.uint8)
    order = np.argsort(strata, kind="stable")
    starts = np.flatnonzero(np.r_[True, strata[order][1:] != strata[order][:-1]])
    for rows in np.split(order, starts[1:]):
        split_of[rows] = _shared_out(hashes[rows], fractions)
    return split_of


def _whole(fractions: Sequence[float], count: int) -> list[int]:
    """Whole numbers that sum to `count`, by largest remainder."""
    exact = [fraction * count for fraction in fractions]
    whole = [int(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: whole[i] - exact[i])
    for index in by_remainder[: count - sum(whole)]:
        whole[index] += 1
    return whole


def _hashes(count: int, seed: int) -> Hashes:
    return _mixed(np.arange(count, dtype=np.uint64), seed)


def _mixed(values: Hashes, seed: int) -> Hashes:
    """SplitMix64 (Steele, Lea, Flood 2014) of each value: looks random, needs no state."""
    mixed = values + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
