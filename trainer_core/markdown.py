"""Markdown from text that may come from outside: one line each, and nothing in it that means
something to whoever shows it."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from trainer_core.text import one_line

# A message with a command in it, or an answer, has room; the value of a setting needs less.
LONG, SHORT = 2000, 200
# Of more rows only the first and the last so many are shown.
MOST, ENDS = 50, 5
_Row = TypeVar("_Row")


def shown(text: str, limit: int = LONG) -> str:
    """`text` as it reads, in a paragraph or a cell."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~&$])", r"\\\1", one_line(text, limit=limit))


def code(text: str) -> str:
    """`text` between backticks."""
    plain = one_line(text, limit=SHORT).replace("`", "'")
    return f"`{plain}`"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], limit: int = LONG) -> str:
    """A table of `rows`, each with as many cells as there are heads, of at most `limit` characters
    each."""
    lines = [tuple(shown(head, limit) for head in heads), ("---",) * len(heads)]
    lines += [tuple(shown(str(cell), limit) for cell in row) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ends(rows: Sequence[_Row], left_out: Callable[[str], _Row], most: int = MOST) -> list[_Row]:
    """All of at most so many rows; else the first and the last, and between them a row of how many
    are left out."""
    if len(rows) <= most:
        return [*rows]
    words = f"… {len(rows) - 2 * ENDS:,} more"
    return [*rows[:ENDS], left_out(words), *rows[-ENDS:]]
