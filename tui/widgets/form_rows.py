"""The rows of a form with one of them under the cursor. Draws only what is in sight."""

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.config_rows import FormRow
from tui.widgets.wrapped import wrapped

LABEL = 26
INDENT = 6
ORIGIN = 9
# Narrower than this, a row is its label and its value.
ROOM_FOR_ORIGIN = 56


class FormRows(ScrollView, can_focus=True):
    """Moves among rows. What enter does on one is for others to say."""

    class Moved(Message):
        """The cursor is on another row, or that row says something else."""

    class Clicked(Message):
        """The row under the cursor was clicked once more."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: list[FormRow] = []
        self._key = ""
        self._lines: list[tuple[int, Text]] = []
        self._starts: list[int] = []
        self._style = Style.null()

    @property
    def row(self) -> FormRow | None:
        """The row under the cursor."""
        return self._rows[self._index] if self._rows else None

    def show(self, rows: Sequence[FormRow]) -> None:
        """Show other rows; the cursor stays on the same field, else on its section."""
        old = self._key
        self._refresh_row()
        self._rows = list(rows)
        keys = [row.key for row in rows]
        if old not in keys:
            section = old.partition(".")[0]
            self._key = section if section in keys else keys[0] if keys else ""
        self._remake()
        if self._key != old:
            self._refresh_row()
            self.post_message(self.Moved())

    def has(self, key: str) -> bool:
        """Whether there is such a row."""
        return any(row.key == key for row in self._rows)

    def go(self, key: str) -> None:
        """Put the cursor on a row, and the row into sight."""
        if key != self._key and self.has(key):
            self._refresh_row()
            self._key = key
            self._refresh_row()
            self.post_message(self.Moved())
        self.show_cursor()

    def move(self, by: int) -> None:
        """Put the cursor some rows on or back."""
        if self._rows:
            self.go(self._rows[max(0, min(len(self._rows) - 1, self._index + by))].key)

    def move_to(self, wanted: Callable[[FormRow], bool], by: int) -> bool:
        """Go to the next row (`by` 1, or back with -1) that is wanted, past the end to the start;
        False if there is none."""
        count = len(self._rows)
        for step in range(1, count + 1):
            row = self._rows[(self._index + by * step) % count]
            if wanted(row):
                self.go(row.key)
                return True
        return False

    def show_cursor(self) -> None:
        """Bring the row under the cursor into sight, what is wrong with it too."""
        if not self._starts or not self.size.height:
            return
        index = self._index
        ends = [*self._starts, len(self._lines)]
        top, height = ends[index], ends[index + 1] - ends[index]
        if index == 0 or (index == 1 and not self._rows[0].field):
            top, height = 0, ends[index + 1]
        self.scroll_to_region(
            Region(0, top, 1, min(height, max(1, self.size.height))), animate=False, force=True
        )

    def value_region(self) -> Region:
        """Where the value of the row under the cursor stands, in cells of this widget."""
        if not self._rows:
            return Region()
        y = self._starts[self._index] - self.scroll_offset.y
        left = min(LABEL, self.size.width // 2)
        return Region(left, y, max(1, self.size.width - left), 1)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines in sight."""
        self._style = self.rich_style  # of all lines: it takes time to find out
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One of them."""
        width, place = self.size.width, self.scroll_offset.y + y
        if place >= len(self._lines):
            return Strip.blank(width, self._style)
        number, line = self._lines[place]
        strip = Strip(line.render(self.app.console)).adjust_cell_length(width)
        if number == self._index and self._starts[number] == place:
            strip = Strip([Segment(strip.text, Style(reverse=True, dim=not self.has_focus))], width)
        return strip.apply_style(self._style)

    def on_resize(self) -> None:
        self._remake()
        self.show_cursor()

    def on_click(self, event: Click) -> None:
        """The mouse is never needed, and works."""
        place = self.scroll_offset.y + event.y
        if place < len(self._lines):
            key = self._rows[self._lines[place][0]].key
            if key == self._key:
                self.post_message(self.Clicked())
            self.go(key)

    @property
    def _index(self) -> int:
        return next((n for n, row in enumerate(self._rows) if row.key == self._key), 0)

    def _remake(self) -> None:
        width, before = self.scrollable_content_region.width, self._lines
        self._lines, self._starts = [], []
        for number, row in enumerate(self._rows):
            self._starts.append(len(self._lines))
            self._lines += ((number, line) for line in row_lines(row, width))
        size = Size(width, len(self._lines))
        if size != self.virtual_size:
            self.virtual_size = size
            self.refresh()
            return
        for place, (new, old) in enumerate(zip(self._lines, before, strict=False)):
            if new != old:
                self.refresh_lines(place)

    def _refresh_row(self) -> None:
        if self._starts:
            self.refresh_lines(self._starts[self._index])


def row_lines(row: FormRow, width: int) -> list[Text]:
    """A row in lines of at most `width` cells: itself, then what is wrong with it."""
    lines = [_heading(row, width) if row.field is None else _field(row, width)]
    signs = [("✖", "red", wrong) for wrong in row.mistakes]
    signs += [("!", "yellow", row.note)] if row.note else []
    for sign, style, sentence in signs:
        for number, line in enumerate(wrapped(Text(sentence, style), width - INDENT)):
            lines.append(Text.assemble(f"    {'' if number else sign}".ljust(INDENT), line, end=""))
    return lines


def _heading(row: FormRow, width: int) -> Text:
    line = Text(f"{'▸' if row.closed else '▾'} ", end="", no_wrap=True)
    line.append(row.label, "bold")
    line.append(f"  {row.origin}" if row.origin else "")
    line.append(f"  {row.value}", "dim")
    line.truncate(max(0, width), overflow="ellipsis")
    return line


def _field(row: FormRow, width: int) -> Text:
    sign = "✖" if row.mistakes else "!" if row.note else " "
    label = f"{sign} {row.label}"
    line = Text(f"{label:<{LABEL - 1}} ", end="", no_wrap=True)
    style = "" if row.origin not in ("auto", "default") else "dim"
    room = width - LABEL - (ORIGIN if width >= ROOM_FOR_ORIGIN else 0)
    value = Text.assemble((row.value or "(to be given)", style), end="")
    if row.planned:
        value.append(f" → {row.planned}")
    value.truncate(max(0, room), overflow="ellipsis")
    line.append_text(value)
    if width >= ROOM_FOR_ORIGIN:
        origin = row.origin[: ORIGIN - 1]
        line.append(" " * max(0, width - cell_len(line.plain) - cell_len(origin) - 1))
        line.append(origin, "dim" if row.origin == "default" else "")
    line.truncate(max(0, width), overflow="ellipsis")
    return line
