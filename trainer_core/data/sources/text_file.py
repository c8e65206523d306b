"""Plain text and Markdown: a file is a document, a large file several."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trainer_core.data.rows import Chunk, Row
from trainer_core.data.sources.content import Content, reading
from trainer_core.data.sources.several import in_chunks
from trainer_core.errors import UserError

# A longer document is cut: before a Markdown heading of the first levels, else at an empty line,
# else wherever it is this long.
DOCUMENT = 64 << 10  # bytes
_BREAKS = (re.compile(rb"\n(?=#{1,2} )"), re.compile(rb"\n[ \t]*\n"), re.compile(rb"\n"))


@dataclass(frozen=True)
class TextFile:
    """Rows of one cell, `text`."""

    content: Content

    @property
    def name(self) -> str:
        """Its path."""
        return self.content.path

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Some documents at a time."""
        return in_chunks(self._rows(), size=16)

    def fingerprint(self) -> str:
        """Of the file's bytes."""
        return self.content.fingerprint()

    def _rows(self) -> Iterator[Row]:
        with reading(self.content) as file:
            line, left = 1, b""
            while True:
                block = left + file.read(DOCUMENT + 1 - len(left))
                if not block:
                    return
                end = _end(block)
                piece, left = block[:end], block[end:]
                if piece.strip():
                    yield Row(self.name, line, {"text": self._text(piece, line).strip("\n")})
                line += piece.count(b"\n")

    def _text(self, piece: bytes, line: int) -> str:
        try:
            return piece.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError:
            raise UserError(
                "the file is not UTF-8", where=f"{self.name}:{line}", hint="Save it as UTF-8."
            ) from None


def _end(block: bytes) -> int:
    """Where the first document of a block ends."""
    if len(block) <= DOCUMENT:
        return len(block)
    for pattern in _BREAKS:
        ends = [found.end() for found in pattern.finditer(block, DOCUMENT // 4, DOCUMENT)]
        if ends:
            return ends[-1]
    end = DOCUMENT
    while end > 1 and block[end] & 0xC0 == 0x80:  # not inside a letter
        end -= 1
    return end
