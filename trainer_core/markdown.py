"""Markdown from text that may come from outside: one line each, and nothing in it that means
something to whoever shows it."""

import re
from collections.abc import Iterable

from trainer_core.text import one_line

_MOST = 200


def shown(text: str) -> str:
    """`text` as it reads, in a paragraph or a cell."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~&$])", r"\\\1", one_line(text, limit=_MOST))


def code(text: str) -> str:
    """`text` between backticks."""
    plain = one_line(text, limit=_MOST).replace("`", "'")
    return f"`{plain}`"


def table(heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """A table of `rows`, each with as many cells as there are heads."""
    lines = [heads, ("---",) * len(heads)]
    lines += [tuple(shown(str(cell)) for cell in row) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
