"""Rows of text in columns."""

from collections.abc import Iterable, Sequence


def table(cells: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Each row a line, its cells under those of the others; the last one as long as it is."""
    rows = list(cells)
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append((indent + "  ".join([*padded, row[-1]])).rstrip())
    return lines
