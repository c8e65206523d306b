"""The line at the top: every screen with its key, the current one in brackets."""

from rich.text import Text
from textual.widgets import Static

PAGES = {
    "runs": "Runs",
    "config": "Config",
    "data": "Data",
    "train": "Train",
    "export": "Export",
    "try": "Try",
    "system": "System",
}


class TopBar(Static):
    """Marks `current` by brackets, not by colour alone."""

    def __init__(self, current: str) -> None:
        super().__init__(self._line(current))

    @staticmethod
    def _line(current: str) -> Text:
        line = Text("backprop ", style="bold", no_wrap=True, overflow="ellipsis")
        for number, (name, title) in enumerate(PAGES.items(), 1):
            here = name == current
            line.append(f"[{number} {title}]" if here else f" {number} {title} ", "bold" * here)
        return line
