"""The form of the Export screen: one line a format, a setting, an earlier export."""

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.export_rows import ExportRow

LABEL = 16
MARK = 4
SIZE = 10
SECONDS = 12
# Narrower than this, a line says nothing of what a format is for.
ROOM_FOR_ABOUT = 60


class ExportChoices(OptionList):
    """Shows rows for the width at hand; what enter does on one is for others to say."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._rows: list[ExportRow] = []

    @property
    def row(self) -> ExportRow | None:
        """The row under the cursor."""
        here = self.highlighted
        return self._rows[here] if here is not None and here < len(self._rows) else None

    def show(self, rows: Sequence[ExportRow]) -> None:
        """Show other rows; the cursor stays on the same thing, if it is still there."""
        before, old = self.row, [row.key for row in self._rows]
        self._rows = list(rows)
        if [row.key for row in rows] == old:
            self._redraw()
            return
        self.clear_options()
        self.add_options(
            Option(self._line(row), id=row.key, disabled=row.is_heading) for row in rows
        )
        keys = [row.key for row in rows]
        if before is not None and before.key in keys:
            self.highlighted = keys.index(before.key)

    def go(self, key: str) -> None:
        """Put the cursor on a row."""
        keys = [row.key for row in self._rows]
        if key in keys:
            self.highlighted = keys.index(key)

    def on_resize(self) -> None:
        self._redraw()

    def _redraw(self) -> None:
        for index, row in enumerate(self._rows):
            line = self._line(row)
            if line != self.get_option_at_index(index).prompt:
                self.replace_option_prompt_at_index(index, line)

    def _line(self, row: ExportRow) -> Text:
        return row_line(row, self.scrollable_content_region.width - 2)


def row_line(row: ExportRow, width: int) -> Text:
    """A line of `width` cells: mark, label, what for, and on the right size and time."""
    if row.is_heading:
        line = Text(row.label, "bold", no_wrap=True, overflow="ellipsis")
        return _with_numbers(line, row, width, "dim")
    mark = {None: "", True: "[x]", False: "[ ]"}[row.ticked]
    mark = "[-]" if row.why_not and not row.ticked else mark
    line = Text(f"{mark:<{MARK}}", no_wrap=True, overflow="ellipsis")
    line.append(f"{row.label:<{LABEL - 1}} ", "" if not row.why_not else "dim")
    if row.why_not:
        line.append(f"✖ {row.why_not}", "red")
    elif row.ticked is None or width >= ROOM_FOR_ABOUT:
        line.append_text(row.value)
    return _with_numbers(line, row, width, "" if row.ticked else "dim")


def _with_numbers(line: Text, row: ExportRow, width: int, style: str) -> Text:
    """With size and time at the right end, if there is room."""
    if not (row.size or row.seconds):
        line.truncate(max(0, width), overflow="ellipsis")
        return line
    numbers = f"{row.size:>{SIZE}}{row.seconds:>{SECONDS}}"
    room = max(0, width - len(numbers) - 1)
    line.truncate(room, overflow="ellipsis")
    line.append(" " * max(0, room - line.cell_len))
    line.append(f" {numbers}", style)
    line.truncate(max(0, width), overflow="ellipsis")
    return line
