"""Any row of a source, without reading what comes after it and without holding what came before."""

import pickle
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator

from trainer_core.data.rows import Chunk, Row, Source, row_of
from trainer_core.errors import UserError

KEPT_CHUNKS = 4
# A chunk that pickles to more than this holds rows, not just the place where they stand.
PLACE_BYTES = 4096


class Pages:
    """Finds chunks as far as they are asked for; remembers where they start, and keeps the last few
    parsed. A chunk that holds its rows (of a compressed file, say) is found again when it is needed
    again. Safe to use from several threads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._finding = source.chunks()
        self._again: Iterator[tuple[int, Chunk]] = iter(())
        self._again_at = 0
        self._firsts: list[int] = []
        self._places: list[Chunk | None] = []
        self._parsed: OrderedDict[int, list[Row]] = OrderedDict()
        self._lock = threading.RLock()
        self._broken: UserError | None = None
        self.known = 0
        self.complete = False

    def rows(self, start: int, count: int) -> list[Row]:
        """Rows from number `start` (from 0), fewer than `count` only at the end.

        Raises UserError where the source cannot be read.
        """
        with self._lock:
            while self.known < start + count and not self.complete:
                self.find_more()
            found: list[Row] = []
            while len(found) < count and start + len(found) < self.known:
                number = bisect_right(self._firsts, start + len(found)) - 1
                inside = start + len(found) - self._firsts[number]
                taken = self._rows_of(number)[inside : inside + count - len(found)]
                if not taken:
                    break  # the file has shrunk meanwhile
                found += taken
            return found

    def row(self, number: int) -> Row | None:
        """One row, when its neighbours are of no interest; None beyond the end."""
        with self._lock:
            while self.known <= number and not self.complete:
                self.find_more()
            if number >= self.known:
                return None
            chunk = bisect_right(self._firsts, number) - 1
            place = self._places[chunk]
            if chunk not in self._parsed and place is not None:
                return row_of(place, number - self._firsts[chunk])
            return self._rows_of(chunk)[number - self._firsts[chunk]]

    def place(self, number: int) -> tuple[Chunk | None, int]:
        """The chunk with a row that was found, and the row's index in it; None for a chunk that can
        only be had by reading from the beginning."""
        with self._lock:
            chunk = bisect_right(self._firsts, number) - 1
            return self._places[chunk], number - self._firsts[chunk]

    def find_more(self) -> None:
        """Find one more chunk; `known` rows are then within reach, all of them once `complete`.

        Raises UserError where the source cannot be read.
        """
        with self._lock:
            if self._broken is not None:
                raise self._broken
            try:
                counted = next(self._finding, None)
            except UserError as error:  # what was found before it stays
                self._broken = error
                raise
            if counted is None:
                self.complete = True
                return
            count, chunk = counted
            if not count:
                return
            is_place = len(pickle.dumps(chunk)) <= PLACE_BYTES
            if not is_place:
                self._keep(len(self._firsts), chunk)
            self._firsts.append(self.known)
            self._places.append(chunk if is_place else None)
            self.known += count

    def _rows_of(self, number: int) -> list[Row]:
        if number in self._parsed:
            self._parsed.move_to_end(number)
            return self._parsed[number]
        return self._keep(number, self._places[number] or self._find_again(number))

    def _keep(self, number: int, chunk: Chunk | None) -> list[Row]:
        rows = list(chunk.rows()) if chunk is not None else []
        self._parsed[number] = rows
        while len(self._parsed) > KEPT_CHUNKS:
            self._parsed.popitem(last=False)
        return rows

    def _find_again(self, number: int) -> Chunk | None:
        """A chunk that was let go, read again from the start or from where we are."""
        if self._again_at > number or not self._again_at:
            self._again, self._again_at = self._source.chunks(), 0
        for count, chunk in self._again:
            if count:
                self._again_at += 1
                if self._again_at > number:
                    return chunk
        return None
