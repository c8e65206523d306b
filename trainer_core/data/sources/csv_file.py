"""CSV and TSV: the first line names the columns."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from trainer_core.data.problems import Problem
from trainer_core.data.rows import MOST_ROW, Chunk, Row
from trainer_core.data.sources.content import Content, reading
from trainer_core.data.sources.several import in_chunks
from trainer_core.errors import UserError

# A record of more lines than this is a quote that was never closed, not a record.
MAX_LINES = 10_000
# What Python makes of bytes that are not UTF-8.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class CsvFile:
    """A CSV file; the delimiter is told from its first line unless it is given."""

    content: Content
    delimiter: str = ""

    @property
    def name(self) -> str:
        """Its path."""
        return self.content.path

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Some rows at a time: where a record ends only reading from the beginning can tell."""
        return in_chunks(self._rows())

    def fingerprint(self) -> str:
        """Of the file's bytes."""
        return self.content.fingerprint()

    def _rows(self) -> Iterator[Row]:
        csv.field_size_limit(MOST_ROW)
        with reading(self.content) as file:
            text = io.TextIOWrapper(
                file, encoding="utf-8-sig", newline="", errors="surrogateescape"
            )
            head = text.readline(MOST_ROW)
            if not head:
                return
            delimiter = self.delimiter or max(",;\t|", key=head.count)
            lines = _Lines(text, head)
            records = csv.reader(lines, delimiter=delimiter, strict=True)
            yield from _rows(records, lines, self.name)


class _Lines:
    """The lines of a file, and how many of them the present record has taken."""

    def __init__(self, text: io.TextIOWrapper, head: str) -> None:
        self._text = text
        self._next = head
        self.number = 0
        self.first = 1

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._next or self._text.readline(MOST_ROW)
        self._next = ""
        if not line:
            raise StopIteration
        self.number += 1
        if self.number - self.first > MAX_LINES:
            raise csv.Error("a record of too many lines")
        return line


def _rows(records: Iterator[list[str]], lines: _Lines, path: str) -> Iterator[Row]:
    columns: list[str] | None = None
    while True:
        lines.first = lines.number + 1
        where = f"{path}:{lines.first}"
        try:
            cells = next(records, None)
        except csv.Error as error:
            raise UserError(
                f"a record that begins here cannot be read: {error}",
                where=where,
                hint="Most likely a quote is opened here and never closed.",
            ) from None
        if cells is None:
            return
        if columns is None:
            columns = [name.strip() for name in cells]
        elif any(cells):
            yield _row(columns, cells, path, lines.first)


def _row(columns: list[str], cells: list[str], path: str, line: int) -> Row:
    if any(_NOT_UTF8.search(cell) for cell in cells):
        hint = "Save the file as UTF-8."
        problem = Problem("unreadable", f"{path}:{line}", "the line is not UTF-8", hint=hint)
        return Row(path, line, problem=problem)
    if len(cells) != len(columns):
        message = f"{len(cells)} cells, but the first line names {len(columns)} columns"
        return Row(path, line, problem=Problem("unreadable", f"{path}:{line}", message))
    return Row(path, line, dict(zip(columns, cells, strict=True)))
