"""Cells as text, and how to speak of those that are not.

Only text is learnt: a number, a date or true is refused, never turned into words that the file does
not hold. Nothing from a row is echoed at length.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from trainer_core.data.problems import RowError
from trainer_core.data.rows import Row
from trainer_core.text import one_line

# Our names of fields to the columns that hold them.
Columns = Mapping[str, str]

SHOWN_KEYS = 8
SHOWN_CHARACTERS = 40


def cell(row: Row, column: str) -> Any:
    """The value in a column. Raises RowError where the row has no such column."""
    try:
        return row.data[column]
    except KeyError:
        raise other_format(row, f"the row has no `{quoted(column)}`") from None


def as_text(row: Row, value: object, what: str) -> str:
    """A cell, or a message's content; content parts of type text are joined. Raises RowError."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_part(row, part, what) for part in value)
    raise unreadable(row, f"{what} is {kind_of(value)}, not text", "Write it as text.")


def _part(row: Row, part: object, what: str) -> str:
    if isinstance(part, dict):
        kind, text = part.get("type"), part.get("text")
        if kind == "text" and isinstance(text, str):
            return text
        shown = f"of type {quoted(kind)}" if isinstance(kind, str) else "without a type"
    else:
        shown = f"that is {kind_of(part)}"
    raise unreadable(row, f"{what} has a part {shown}", "Only parts with text can be trained on.")


def unreadable(row: Row, message: str, hint: str = "") -> RowError:
    """The row's cells cannot be understood."""
    return RowError("unreadable", message, where=row.where, hint=hint)


def other_format(row: Row, message: str) -> RowError:
    """The row is not written as the first rows are."""
    return RowError(
        "another format",
        f"{message}, so it is in another format than the first rows",
        where=row.where,
        hint=f"Its keys: {listed(row.data)}.",
    )


def kind_of(value: object) -> str:
    """What a value is, as a person says it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), f"a {type(value).__name__}")


def quoted(text: str) -> str:
    """The beginning of a text that came from a file, on one line."""
    shown = one_line(text[: SHOWN_CHARACTERS + 1])
    return shown if len(text) <= SHOWN_CHARACTERS else f"{shown[:SHOWN_CHARACTERS]}…"


def listed(keys: Iterable[str]) -> str:
    """The first keys; `none` where there are none."""
    names = [quoted(str(key)) for key in keys]
    more = f" and {len(names) - SHOWN_KEYS} more" if len(names) > SHOWN_KEYS else ""
    return ", ".join(names[:SHOWN_KEYS]) + more or "none"
