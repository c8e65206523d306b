"""Lines of text made for the width at hand, of which only those in sight are drawn."""

from collections.abc import Callable

from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

# Lines, each with `end=""`, of at most the given width in cells.
MakeLines = Callable[[int], list[Text]]


class Lines(ScrollView, can_focus=False):
    """Shows what a function makes, and makes it anew when the width changes."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._make: MakeLines = lambda _: []
        self._lines: list[Text] = []
        self._width = 0

    def show(self, make: MakeLines) -> None:
        """Show other lines, from the top."""
        self._make, self._width = make, 0
        self._remake()
        self.scroll_to(0, 0, animate=False)

    def grow(self, make: MakeLines) -> None:
        """Show the same lines and more behind them; who looked at the end sees the new one."""
        at_end = self.is_vertical_scroll_end
        self._make, self._width = make, 0
        self._remake()
        if at_end:
            self.scroll_to(0, self.max_scroll_y, animate=False, immediate=True)

    def on_resize(self) -> None:
        self._remake()

    def render_line(self, y: int) -> Strip:
        """One line in sight."""
        width, index = self.size.width, self.scroll_offset.y + y
        if index >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        strip = Strip(self._lines[index].render(self.app.console))
        return strip.adjust_cell_length(width).apply_style(self.rich_style)

    def _remake(self) -> None:
        width = self.scrollable_content_region.width
        if width > 0 and width != self._width:
            self._width = width
            self._lines = self._make(width)
            self.virtual_size = Size(width, len(self._lines))
            self.refresh()
