"""Sources made of sources: several files as one, and the beginning of one."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from trainer_core.data.rows import Chunk, Row, Source


@dataclass(frozen=True)
class Several:
    """Files one after the other."""

    name: str
    sources: tuple[Source, ...]

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """The chunks of each."""
        for source in self.sources:
            yield from source.chunks()

    def fingerprint(self) -> str:
        """Of all their names and contents."""
        facts = "\n".join(f"{source.name}\0{source.fingerprint()}" for source in self.sources)
        return hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Limited:
    """The first rows of a source."""

    source: Source
    limit: int

    @property
    def name(self) -> str:
        """As the whole is called."""
        return self.source.name

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Chunks until there are enough rows."""
        left = self.limit
        for count, chunk in self.source.chunks():
            if count >= left:
                yield left, chunk if count == left else FirstRows(chunk, left)
                return
            yield count, chunk
            left -= count

    def fingerprint(self) -> str:
        """Of the whole, and how much of it is used."""
        return f"{self.source.fingerprint()}:{self.limit}"


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first rows of a chunk."""

    chunk: Chunk
    count: int

    def rows(self) -> Iterator[Row]:
        """At most `count` rows."""
        return islice(self.chunk.rows(), self.count)


@dataclass(frozen=True, slots=True)
class Held:
    """Rows that cannot be read again for the asking: those of a file read from its beginning."""

    held: tuple[Row, ...]

    def rows(self) -> Iterator[Row]:
        """As they were read."""
        return iter(self.held)


def in_chunks(rows: Iterator[Row], size: int = 500) -> Iterator[tuple[int, Chunk]]:
    """Rows as they come, a few at a time."""
    while held := tuple(islice(rows, size)):
        yield len(held), Held(held)
