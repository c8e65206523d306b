"""JSON: a list of rows, or an object that holds one. Read piece by piece, never whole."""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from trainer_core.data.problems import Problem
from trainer_core.data.rows import MOST_ROW, Chunk, Row
from trainer_core.data.sources.content import Content, reading
from trainer_core.data.sources.json_objects import unique_keys, why_not
from trainer_core.data.sources.several import in_chunks
from trainer_core.errors import UserError

PIECE = 1 << 16
_SPACE = " \t\n\r"


@dataclass(frozen=True)
class JsonFile:
    """One JSON value."""

    content: Content

    @property
    def name(self) -> str:
        """Its path."""
        return self.content.path

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Some rows at a time, from the beginning."""
        return in_chunks(self._rows())

    def fingerprint(self) -> str:
        """Of the file's bytes."""
        return self.content.fingerprint()

    def _rows(self) -> Iterator[Row]:
        with reading(self.content) as file:
            text = _Text(file, self.name)
            if text.peek() == "{":
                text.find_list()
            yield from text.rows()


class _Text:
    """JSON as it is read: what was parsed is forgotten."""

    def __init__(self, file: IO[bytes], path: str) -> None:
        self._file = file
        self._path = path
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._scan = json.JSONDecoder(object_pairs_hook=unique_keys).raw_decode
        self._text = ""
        self._at = 0
        self._line = 1
        self._ended = False

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def find_list(self) -> None:
        """Go to the first value of the object that is a list. Raises UserError if there is none."""
        self._take("{")
        while self.peek() == '"':
            self.value()
            self._take(":")
            if self.peek() == "[":
                return
            self.value()
            if self.peek() == ",":
                self._take(",")
        raise UserError(
            "an object without a list of rows",
            where=f"{self._path}:1",
            hint="It needs a list of objects, or one object a line (.jsonl).",
        )

    def rows(self) -> Iterator[Row]:
        """The items of the list that begins here."""
        if not self.peek():
            return
        self._take("[")
        number = 0
        while self.peek() != "]":
            number += 1
            line = self._line + self._text.count("\n", 0, self._at)
            value = self.value()
            if isinstance(value, dict):
                yield Row(self._path, line, value)
            else:
                message = f"item {number} is a {type(value).__name__}, not an object"
                yield Row(
                    self._path,
                    line,
                    problem=Problem("unreadable", f"{self._path}:{line}", message),
                )
            if self.peek() == ",":
                self._take(",")
            elif self.peek() != "]":
                raise self._broken("a comma or the end of the list is missing")

    def value(self) -> Any:
        """The value that begins here."""
        self.peek()
        while True:
            try:
                value, end = self._scan(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._more():
                    cut = (
                        " (the file seems to be cut off here)"
                        if error.pos >= len(self._text) - 1
                        else ""
                    )
                    raise self._broken(f"{error.msg}{cut}") from None
                continue
            except (RecursionError, ValueError) as error:
                raise self._broken(why_not(error)) from None
            if end == len(self._text) and self._more():
                continue  # a number may go on
            self._at = end
            return value

    def _take(self, character: str) -> None:
        if self.peek() != character:
            raise self._broken(f"{character!r} is missing")
        self._at += 1

    def _more(self) -> bool:
        if self._ended:
            return False
        if self._at:
            self._line += self._text.count("\n", 0, self._at)
            self._text, self._at = self._text[self._at :], 0
        if len(self._text) > MOST_ROW:
            raise self._broken(f"a row of more than {MOST_ROW >> 20} MiB")
        # As much again as was in vain, so that a large row is not parsed too often.
        piece = self._file.read(max(PIECE, len(self._text)))
        self._ended = not piece
        try:
            self._text += self._decode.decode(piece, final=self._ended)
        except UnicodeDecodeError:
            raise self._broken("the file is not UTF-8") from None
        return not self._ended

    def _broken(self, message: str) -> UserError:
        line = self._line + self._text.count("\n", 0, self._at)
        return UserError(
            f"not JSON: {message}",
            where=f"{self._path}:{line}",
            hint="Mend the file, or fetch it again.",
        )
