"""Walking through what a row holds besides its texts: calls of tools and their definitions."""

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(value: Any) -> Iterator[Any]:
    """Every key and every value that is no container, in order; no depth is too deep."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            for key, held in reversed(list(item.items())):
                waiting += (held, key)
        elif isinstance(item, list | tuple):
            waiting.extend(reversed(item))
        else:
            yield item
