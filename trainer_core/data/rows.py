"""A record as read, before anyone knows what it means."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Protocol, runtime_checkable

from trainer_core.data.problems import Problem

# Bytes or characters of one row. A longer one is no example to learn from, but a file that is
# something else, or meant to fill the memory.
MOST_ROW = 16 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """A record: where it stands, and its cells. `problem` says why there are none."""

    path: str
    line: int  # line of a text file, else number of the record, from 1
    data: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None

    @property
    def where(self) -> str:
        """path:line"""
        return f"{self.path}:{self.line}"


class Chunk(Protocol):
    """A piece of a source, small enough to hold, that can be sent to another process and read
    there: usually where to read, not what was read."""

    def rows(self) -> Iterator[Row]:
        """The rows, in order; a row that cannot be read is given with its problem."""
        ...


def row_of(chunk: Chunk, index: int) -> Row | None:
    """One row of a chunk; only it is parsed where the chunk knows how."""
    if isinstance(chunk, OneByOne):
        return chunk.row(index)
    return next(islice(chunk.rows(), index, None), None)


@runtime_checkable
class OneByOne(Protocol):
    """A chunk that can parse one row alone."""

    def row(self, index: int) -> Row | None:
        """The row with this number within the chunk."""
        ...


class Source(Protocol):
    """Where rows come from. Opening one reads next to nothing."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """The chunks in order, each with the number of its rows, found as they are asked for: what
        comes first is there at once, and nothing is held that was passed on.

        Raises UserError where the file as a whole cannot be read.
        """
        ...

    def fingerprint(self) -> str:
        """Changes when the content changes: what a cache of it is named by."""
        ...


def rows_of(source: Source, limit: int | None = None) -> Iterator[Row]:
    """The rows of a source, the first `limit` of them."""
    return islice(chain.from_iterable(chunk.rows() for _, chunk in source.chunks()), limit)
