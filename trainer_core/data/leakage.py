"""What training sees and validation asks: rows that stand on both sides of a split."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Pairs = npt.NDArray[np.int64]

BLOCK = 1 << 18  # rows


@dataclass(frozen=True, slots=True)
class Leak:
    """`row` is for validation or test; `other` is trained on and says the same."""

    row: int
    other: int
    kind: Literal["the same", "almost the same", "the same prompt"]


def leaks(trained: Mask, held: Mask, texts: Hashes, prompts: Hashes, near: Pairs) -> list[Leak]:
    """Every row of `held` that training gives away, with the strongest reason.

    `trained` and `held` mark rows, hashes of `texts` and `prompts` are 0 where there is none:
    [rows] each. `near` are pairs of rows that say almost the same, [pairs, 2].
    """
    found = {
        row: Leak(row, other, "the same prompt") for row, other in _shared(trained, held, prompts)
    }
    for sides in (near, near[:, ::-1]):
        for row, other in sides[held[sides[:, 0]] & trained[sides[:, 1]]].tolist():
            found[row] = Leak(row, other, "almost the same")
    found |= {row: Leak(row, other, "the same") for row, other in _shared(trained, held, texts)}
    return [found[row] for row in sorted(found)]


def _shared(trained: Mask, held: Mask, hashes: Hashes) -> Iterator[tuple[int, int]]:
    """Each row of `held` with the first of `trained` that has the same hash. Looks at a block at a
    time: few rows are held, so memory does not grow with those that are trained on."""
    rows = np.flatnonzero(held)
    rows = rows[hashes[rows] != 0]
    if not len(rows):
        return
    wanted, place = np.unique(hashes[rows], return_inverse=True)
    first = np.full(len(wanted), -1, np.int64)
    for start in range(0, len(hashes), BLOCK):
        block = start + np.flatnonzero(trained[start : start + BLOCK])
        at = np.minimum(np.searchsorted(wanted, hashes[block]), len(wanted) - 1)
        same = (wanted[at] == hashes[block]) & (first[at] < 0)
        # From the last to the first, so that the first stays.
        first[at[same][::-1]] = block[same][::-1]
    others = first[place]
    yield from zip(rows[others >= 0].tolist(), others[others >= 0].tolist(), strict=True)
