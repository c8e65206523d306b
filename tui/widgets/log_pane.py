"""The log of a run: level as a word, newest at the bottom, and still when you scroll away."""

import time

from rich.text import Text
from textual.events import Resize
from textual.widgets import RichLog

from trainer_core.runs.events import Log, Notice
from trainer_core.runs.view import MAX_LOG_LINES, RunView
from trainer_core.text import one_line

_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


class LogPane(RichLog):
    """Appends what came since the last call."""

    def __init__(self) -> None:
        super().__init__(
            max_lines=MAX_LOG_LINES, wrap=True, markup=False, highlight=False, min_width=20
        )
        self._count = 0
        self._view: RunView | None = None
        self._width = 0

    def show(self, view: RunView) -> None:
        """Append the new lines; scrolls along only while the end is in sight."""
        self._view = view
        new = view.log_count - self._count
        if new <= 0:
            return
        self._count = view.log_count
        follow = self.is_vertical_scroll_end
        lines = [log_line(entry) for entry in list(view.log)[-new:]]
        self.write(Text("\n").join(lines), expand=True, scroll_end=follow)

    def forget(self) -> None:
        """Start anew, for another run."""
        self._count, self._view = 0, None
        self.clear()

    def on_resize(self, event: Resize) -> None:
        """Lines were broken for the width of before."""
        if self._view is not None and event.size.width != self._width:
            view = self._view
            self.forget()
            self.show(view)
        self._width = event.size.width


def log_line(entry: Log | Notice) -> Text:
    """`23:59:01 WARNING 3 rows dropped`."""
    level = entry.level if isinstance(entry, Log) else "WARNING"
    message = entry.message
    if isinstance(entry, Notice) and entry.hint:
        message = f"{message}. {entry.hint}"
    line = Text(time.strftime("%H:%M:%S ", time.localtime(entry.time)), "dim")
    line.append(f"{one_line(level, limit=8):<7} ", _STYLES.get(level, "dim"))
    return line.append(one_line(message))
