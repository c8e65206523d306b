"""Copying to the clipboard of the terminal, which may be far away."""

import os

from textual.screen import Screen


def copy(screen: Screen[None], words: str, about: str = "Copied") -> None:
    """Copy `words`, and say so."""
    screen.app.copy_to_clipboard(words)
    way = "\n(through tmux only with set-clipboard on)" if os.environ.get("TMUX") else ""
    screen.notify(f"{about}: {words}{way}", timeout=4, markup=False)
