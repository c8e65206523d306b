"""Any row of a source at once, without having read what comes before more than once."""

from bisect import bisect_right
from collections import OrderedDict

from trainer_core.data.rows import Chunk, Row, Source, row_of

KEPT_CHUNKS = 8


class Pages:
    """Finds chunks only as far as they are asked for, and keeps the last few parsed."""

    def __init__(self, source: Source) -> None:
        self._finding = source.chunks()
        self._firsts: list[int] = []
        self._chunks: list[Chunk] = []
        self._parsed: OrderedDict[int, list[Row]] = OrderedDict()
        self.known = 0
        self.complete = False

    def rows(self, start: int, count: int) -> list[Row]:
        """Rows from number `start` (from 0), fewer than `count` only at the end.

        Raises UserError where the source cannot be read.
        """
        while self.known < start + count and not self.complete:
            self.find_more()
        found: list[Row] = []
        while len(found) < count and start + len(found) < self.known:
            number = bisect_right(self._firsts, start + len(found)) - 1
            rows = self._rows_of(number)
            inside = start + len(found) - self._firsts[number]
            taken = rows[inside : inside + count - len(found)]
            if not taken:
                break  # the file changed meanwhile
            found += taken
        return found

    def row(self, number: int) -> Row | None:
        """One row, when its neighbours are of no interest."""
        while self.known <= number and not self.complete:
            self.find_more()
        if number >= self.known:
            return None
        chunk = bisect_right(self._firsts, number) - 1
        return row_of(self._chunks[chunk], number - self._firsts[chunk])

    def find_more(self) -> None:
        """Find one more chunk."""
        counted = next(self._finding, None)
        if counted is None:
            self.complete = True
            return
        count, chunk = counted
        if count:
            self._firsts.append(self.known)
            self._chunks.append(chunk)
            self.known += count

    def _rows_of(self, number: int) -> list[Row]:
        if number not in self._parsed:
            self._parsed[number] = list(self._chunks[number].rows())
            if len(self._parsed) > KEPT_CHUNKS:
                self._parsed.popitem(last=False)
        self._parsed.move_to_end(number)
        return self._parsed[number]
