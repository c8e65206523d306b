"""Small files from outside: the JSON and the templates that come with models and adapters.

A model folder may be anybody's. So a pipe is not waited for, nothing larger than expected is taken
into memory, and whatever is wrong ends as one sentence.
"""

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

from trainer_core.errors import UserError

# A config.json has kilobytes, a tokenizer_config.json that lists its added tokens hundreds.
MOST = 16 << 20
# Containers within containers. What reads it afterwards walks it by recursion.
DEEPEST = 100


def read_bytes(path: Path, most: int = MOST) -> bytes:
    """The bytes of a regular file of at most `most` bytes.

    Raises FileNotFoundError if there is none, UserError for anything else.
    """
    try:
        # O_NONBLOCK: a pipe without a writer would hold us here before we can refuse it.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        number = os.open(path, flags)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path} cannot be read: {reason}", hint="Check the file.") from None
    with os.fdopen(number, "rb") as file:
        facts = os.fstat(number)
        if not stat.S_ISREG(facts.st_mode):
            raise UserError(f"{path} is not a regular file", hint="Put the file itself there.")
        data = file.read(most + 1) if facts.st_size <= most else b""
    if facts.st_size > most or len(data) > most:
        raise UserError(
            f"{path} is larger than {most >> 20} MiB, which such a file never is",
            hint="Fetch it again.",
        )
    return data


def read_text(path: Path, most: int = MOST) -> str:
    """The text of a UTF-8 file. Raises as read_bytes does."""
    data = read_bytes(path, most)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            "the file is not UTF-8", where=f"{path}:{line}", hint="Fetch it again."
        ) from None


def read_object(path: Path, most: int = MOST) -> dict[str, Any]:
    """The JSON object in a file. Raises as read_bytes does."""
    return json_object(read_text(path, most), str(path))


def json_object(text: str | bytes, where: str) -> dict[str, Any]:
    """The JSON object that a text is. Raises UserError, naming `where`, for anything else: an
    object that is no more than 100 containers deep."""
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise UserError(f"{where} is not a JSON object", hint="Fetch it again.")
        if _too_deep(data):
            raise RecursionError
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}"
        raise UserError(f"not JSON: {error.msg}", where=place, hint="Fetch it again.") from None
    except RecursionError:
        raise UserError(
            f"{where} is nested more than {DEEPEST} deep", hint="Fetch it again."
        ) from None
    except ValueError as error:  # a number of too many digits, bytes that are no text
        raise UserError(f"{where} cannot be read: {error}", hint="Fetch it again.") from None
    return data


def finite(value: object) -> float | None:
    """A number of such a file that can be counted with: 1e999 is none, nor is one without end."""
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _too_deep(data: Any) -> bool:
    level = [data]
    for _ in range(DEEPEST):
        level = [
            item
            for held in level
            for item in (held.values() if isinstance(held, dict) else held)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True
