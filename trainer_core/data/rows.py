"""Rows of a JSONL file, one at a time, each with the line it stands on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from trainer_core.errors import UserError

MAX_LINE_BYTES = 256 << 20


@dataclass(frozen=True)
class Row:
    """A record as read."""

    path: str
    line: int
    data: dict[str, Any]

    @property
    def where(self) -> str:
        """path:line"""
        return f"{self.path}:{self.line}"


def read_rows(path: Path, limit: int | None = None) -> Iterator[Row]:
    """The rows of a JSONL file; blank lines are skipped.

    Raises UserError naming path:line for a line that is not a JSON object.
    """
    return islice(_read(path), limit)


def _read(path: Path) -> Iterator[Row]:
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise UserError(f"the data file {path} {what}", hint="Name a JSONL file.")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"the data file {path} cannot be read: {reason}") from None
    with file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES):
            number += 1
            where = f"{path}:{number}"
            if len(line) == MAX_LINE_BYTES:
                raise UserError(
                    f"a line of more than {MAX_LINE_BYTES >> 20} MiB",
                    where=where,
                    hint="Is this JSONL?",
                )
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield Row(str(path), number, _parse(line, where))


def _parse(line: bytes, where: str) -> dict[str, Any]:
    hint = "Each line must be one JSON object."
    try:
        data = json.loads(line)
    except UnicodeDecodeError:
        raise UserError(
            "the line is not UTF-8", where=where, hint="Save the file as UTF-8."
        ) from None
    except json.JSONDecodeError as error:
        cut = "" if line.endswith(b"\n") else " (the file seems to be cut off here)"
        raise UserError(f"not JSON: {error.msg}{cut}", where=where, hint=hint) from None
    except (RecursionError, ValueError) as error:
        raise UserError(f"not JSON that can be read: {error}", where=where, hint=hint) from None
    if not isinstance(data, dict):
        raise UserError(
            f"the line is a {type(data).__name__}, not an object", where=where, hint=hint
        )
    return data
