"""JSON objects as they stand: a key that stands twice is a mistake, not the last of its values."""

from typing import Any


def why_not(error: RecursionError | ValueError) -> str:
    """What to say of JSON that is right, and cannot be read all the same."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    reason = str(error)
    return "a number has thousands of digits" if "integer string conversion" in reason else reason


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object (as `object_pairs_hook` gives it). Raises ValueError for a repeated key."""
    cells = dict(pairs)
    if len(cells) == len(pairs):
        return cells
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"the key {name[:60]!r} stands twice")
        seen.add(name)
    return cells
