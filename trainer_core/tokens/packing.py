"""Several examples in one row of fixed length, so that little of a batch is padding."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bins:
    """Examples by row: row i holds `order[starts[i]:starts[i + 1]]`. Both int64."""

    order: Numbers
    starts: Numbers

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> Numbers:
        return self.order[self.starts[row] : self.starts[row + 1]]


def pack(lengths: Numbers, capacity: int) -> Bins:
    """Put examples of `lengths` tokens, [examples], into as few rows of `capacity` as may be.

    Best-fit decreasing (Johnson 1973): from the longest, each goes where the least room is left
    over. A function of its arguments alone, so a resumed run has the same rows. Raises ValueError
    if an example is longer than a row.
    """
    if len(lengths) and int(lengths.max()) > capacity:
        raise ValueError(f"an example of {int(lengths.max())} tokens, rows of {capacity}")
    with_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = 0  # bit r is set where a row has room for exactly r more
    rows: list[list[int]] = []
    order = np.argsort(-lengths, kind="stable")
    for example, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        enough = rooms >> length
        if enough:
            room = length + (enough & -enough).bit_length() - 1
            row = with_room[room].pop()
            if not with_room[room]:
                rooms ^= 1 << room
        else:
            room, row = capacity, len(rows)
            rows.append([])
        rows[row].append(example)
        left = room - length
        with_room[left].append(row)
        rooms |= 1 << left
    counts = np.array([0, *(len(row) for row in rows)], dtype=np.int64)
    flat = np.array([example for row in rows for example in row], dtype=np.int64)
    return Bins(flat, np.cumsum(counts))


def fill_rate(lengths: Numbers, bins: Bins, capacity: int) -> float:
    """How much of the rows is tokens rather than padding."""
    return float(lengths.sum()) / (len(bins) * capacity) if len(bins) else 0.0
