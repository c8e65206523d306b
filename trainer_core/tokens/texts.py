"""Any row of the data, read again from where it stands."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

from trainer_core.data.conversations import Conversation
from trainer_core.data.duplicates import text_of
from trainer_core.data.formats import reader
from trainer_core.data.opening import OpenSource
from trainer_core.data.pages import Pages
from trainer_core.data.rows import Row
from trainer_core.errors import UserError


class Texts:
    """Rows by their number over all sources."""

    def __init__(self, sources: list[OpenSource], firsts: list[int]) -> None:
        self._pages = [Pages(source.source) for source in sources]
        self._readers = [reader(source.detection) for source in sources]
        self._firsts = firsts

    def row(self, number: int) -> Row:
        """The row with this number."""
        source = bisect_right(self._firsts, number) - 1
        row = self._pages[source].row(number - self._firsts[source])
        if row is None:
            raise UserError("the data changed while it was read", hint="Start again.")
        return row

    def rows(self, numbers: Iterable[int]) -> Iterator[Row]:
        """The rows with these numbers, which rise: what stands together is parsed together."""
        for number in numbers:
            source = bisect_right(self._firsts, number) - 1
            found = self._pages[source].rows(number - self._firsts[source], 1)
            if not found:
                raise UserError("the data changed while it was read", hint="Start again.")
            yield found[0]

    def conversation(self, number: int) -> Conversation:
        """What the row says. Raises RowError."""
        return self.reader_of(number)(self.row(number))

    def reader_of(self, number: int) -> Callable[[Row], Conversation]:
        """What makes a conversation of the row."""
        return self._readers[bisect_right(self._firsts, number) - 1]

    def compared(self, number: int) -> bytes:
        """The row as it is compared with others."""
        return text_of(self.conversation(number))
