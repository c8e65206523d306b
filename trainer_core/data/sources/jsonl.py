"""JSONL: one JSON object a line. Read in pieces of whole lines, by whoever needs the rows."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from trainer_core.data.problems import Problem
from trainer_core.data.rows import MOST_ROW, Chunk, Row
from trainer_core.data.sources.content import Content, reading
from trainer_core.data.sources.files import content_fingerprint, opened
from trainer_core.data.sources.json_objects import unique_keys, why_not
from trainer_core.errors import UserError

CHUNK_BYTES = 1 << 20
HINT = "Each line must be one JSON object."
_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)
_BOM = b"\xef\xbb\xbf"
# A line of white space only can stand where one of these is; it is no row.
# (Without an alternative in it: that would make the search sixty times slower.)
_MAYBE_BLANK = re.compile(rb"\n\s")


@dataclass(frozen=True)
class JsonlFile:
    """A JSONL file that lies here, uncompressed: its chunks are read where they are needed."""

    name: str

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Pieces of about a MiB, as places in the file."""
        with opened(self.name) as file:
            offset, line = 0, 1
            for block in blocks(file, self.name):
                rows, lines = count_rows(block)
                yield rows, LineRange(self.name, offset, len(block), line)
                offset += len(block)
                line += lines

    def fingerprint(self) -> str:
        """Of the file's bytes."""
        return content_fingerprint(self.name)


@dataclass(frozen=True)
class JsonlStream:
    """JSONL that must be read from its beginning: decompressed, decrypted."""

    content: Content

    @property
    def name(self) -> str:
        """Its path."""
        return self.content.path

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Pieces of about a MiB, with their bytes."""
        with reading(self.content) as file:
            line = 1
            for block in blocks(file, self.name):
                rows, lines = count_rows(block)
                yield rows, LineBlock(self.name, block, line)
                line += lines

    def fingerprint(self) -> str:
        """Of the file's bytes."""
        return self.content.fingerprint()


@dataclass(frozen=True, slots=True)
class LineRange:
    """Whole lines of a file that can be read at any time."""

    path: str
    offset: int
    length: int
    first_line: int

    def rows(self) -> Iterator[Row]:
        """Parse them."""
        return parse_lines(self._block(), self.path, self.first_line)

    def row(self, index: int) -> Row | None:
        """Parse one of them."""
        lines = (
            (number, line)
            for number, line in enumerate(self._block().split(b"\n"), self.first_line)
            if line and not line.isspace()
        )
        found = next(islice(lines, index, None), None)
        return _row(found[1], self.path, found[0]) if found else None

    def _block(self) -> bytes:
        with opened(self.path) as file:
            file.seek(self.offset)
            block = file.read(self.length)
        return block.removeprefix(_BOM) if self.offset == 0 else block


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Whole lines that cannot be read again for the asking (decompressed, decrypted, fetched)."""

    path: str
    block: bytes
    first_line: int

    def rows(self) -> Iterator[Row]:
        """Parse them."""
        return parse_lines(self.block, self.path, self.first_line)


def blocks(file: Any, name: str) -> Iterator[bytes]:
    """The bytes of a file, cut after the line that passes `CHUNK_BYTES`.

    Raises UserError naming path:line for a line of more than `MOST_ROW`.
    """
    line = 1
    while block := file.read(CHUNK_BYTES):
        if not block.endswith(b"\n"):
            lines = block.count(b"\n")
            rest = file.readline(MOST_ROW)
            if len(rest) == MOST_ROW:
                raise UserError(
                    f"a line of more than {MOST_ROW >> 20} MiB",
                    where=f"{name}:{line + lines}",
                    hint="Is this JSONL? Cut such a document into several rows.",
                )
            block += rest
        yield block
        line += block.count(b"\n")


def count_rows(block: bytes) -> tuple[int, int]:
    """How many rows a block of whole lines holds, and how many lines, blank ones included."""
    lines = block.count(b"\n")
    rows = lines + (not block.endswith(b"\n"))
    block = block.removeprefix(_BOM)
    if block[:1].isspace() or _MAYBE_BLANK.search(block):
        rows = sum(1 for line in block.split(b"\n") if line.strip())
    return rows, lines


def parse_lines(block: bytes, path: str, first_line: int) -> Iterator[Row]:
    """The rows of a block of whole lines; blank lines are no rows."""
    if first_line == 1:
        block = block.removeprefix(_BOM)
    lines = block.split(b"\n")
    for number, line in enumerate(lines, first_line):
        if line and not line.isspace():
            yield _row(line, path, number, last=number == first_line + len(lines) - 1)


def _row(line: bytes, path: str, number: int, *, last: bool = False) -> Row:
    try:
        data = _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        return _broken(path, number, "the line is not UTF-8", "Save the file as UTF-8.")
    except json.JSONDecodeError as error:
        cut = " (the file seems to be cut off here)" if last else ""  # no end of line
        return _broken(path, number, f"not JSON: {error.msg}{cut}")
    except (RecursionError, ValueError) as error:
        return _broken(path, number, f"not JSON that can be read: {why_not(error)}")
    if not isinstance(data, dict):
        return _broken(path, number, f"the line is a {type(data).__name__}, not an object")
    return Row(path, number, data)


def _broken(path: str, number: int, message: str, hint: str = HINT) -> Row:
    where = f"{path}:{number}"
    return Row(path, number, problem=Problem("unreadable", where, message, hint=hint))
