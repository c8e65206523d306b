"""Text broken into lines of a width."""

import io

from rich.console import Console
from rich.text import Text

# Only Rich's line breaking is wanted of it.
_CONSOLE = Console(file=io.StringIO())


def wrapped(text: Text, width: int) -> list[Text]:
    """`text` in lines of at most `width` cells, each with `end=""`."""
    lines = list(text.wrap(_CONSOLE, max(1, width)))
    for line in lines:
        line.end = ""
    return lines
