"""What training sees and validation asks: rows that stand on both sides of a split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Leak:
    """`row` is for validation or test; `other` is trained on and says the same."""

    row: int
    other: int
    kind: Literal["the same", "almost the same", "the same prompt"]


def leaks(
    splits: npt.NDArray[np.uint8], hashes: Hashes, near: Mapping[int, int], prompts: Hashes
) -> list[Leak]:
    """Every row outside train that training gives away, with the strongest reason.

    `splits` (0 is train), `hashes` of texts and of `prompts` are [rows]; `near` maps a row to an
    earlier one that says almost the same. A hash of 0 means that there is no text.
    """
    found = {row: Leak(row, other, "the same prompt") for row, other in _shared(splits, prompts)}
    for row, earlier in near.items():
        if (splits[row] == 0) != (splits[earlier] == 0):
            held, trained = (earlier, row) if splits[row] == 0 else (row, earlier)
            found[held] = Leak(held, trained, "almost the same")
    found |= {row: Leak(row, other, "the same") for row, other in _shared(splits, hashes)}
    return [found[row] for row in sorted(found)]


def _shared(splits: npt.NDArray[np.uint8], hashes: Hashes) -> list[tuple[int, int]]:
    """(row, a row of train with the same hash) for each row of the other splits that has one."""
    held = np.flatnonzero((splits != 0) & (hashes != 0))
    trained = np.flatnonzero(splits == 0)
    if not len(held) or not len(trained):
        return []
    order = trained[np.argsort(hashes[trained], kind="stable")]
    place = np.searchsorted(hashes[order], hashes[held])
    inside = np.minimum(place, len(order) - 1)
    same = hashes[order[inside]] == hashes[held]
    return [
        (int(row), int(other)) for row, other in zip(held[same], order[inside][same], strict=True)
    ]
