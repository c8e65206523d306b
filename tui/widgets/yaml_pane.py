"""A config's YAML, to be typed in: numbered lines, with marks before those that are spoken of."""

from collections.abc import Mapping

from rich.segment import Segment
from rich.text import Text
from textual.events import Key
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from trainer_core.text import clean


class YamlPane(TextArea):
    """Has no history of its own: undoing is for whoever holds the text."""

    class Undone(Message):
        """The last change is to be undone, or done again."""

        def __init__(self, redo: bool = False) -> None:
            super().__init__()
            self.redo = redo

    def __init__(self, id: str | None = None) -> None:
        super().__init__(
            id=id, soft_wrap=False, show_line_numbers=True, compact=True, max_checkpoints=1
        )
        self._marks: dict[int, str] = {}

    def show(self, text: str) -> None:
        """Show another text, the cursor and what is in sight left where they are."""
        if text == self.text:
            return
        scroll, cursor = self.scroll_offset, self.cursor_location
        self.load_text(text)
        self.selection = Selection.cursor(self._reachable(cursor))
        self.scroll_to(*scroll, animate=False, force=True, immediate=True)

    def mark(self, marks: Mapping[int, str]) -> None:
        """Put one character before each of some lines, which count from 1."""
        if marks != self._marks:
            self._marks = dict(marks)
            self.refresh()

    def go(self, line: int) -> None:
        """Put the cursor on a line, from 1, and that into sight."""
        self.move_cursor(self._reachable((line - 1, 0)), center=True)

    def on_key(self, event: Key) -> None:
        """A new line begins below the last one, or further in behind a colon."""
        if event.key == "enter" and not self.read_only:
            event.stop()
            event.prevent_default()
            row, column = self.selection.start
            before = self.document.get_line(row)[:column]
            indent = before[: len(before) - len(before.lstrip(" "))]
            deeper = "  " if before.rstrip().endswith(":") else ""
            self.replace(
                f"\n{indent}{deeper}", *sorted(self.selection), maintain_selection_offset=False
            )

    def action_undo(self) -> None:
        """Left to whoever holds the text."""
        self.post_message(self.Undone())

    def action_redo(self) -> None:
        """Left to whoever holds the text."""
        self.post_message(self.Undone(redo=True))

    def get_line(self, line_index: int) -> Text:
        """A line as it may be shown."""
        line = self.document.get_line(line_index)
        shown = line if line.isascii() and line.isprintable() else clean(line.replace("\t", "\0"))
        return Text(shown.replace("\0", "\t"), end="", no_wrap=True)

    def render_line(self, y: int) -> Strip:
        """With its mark."""
        strip = super().render_line(y)
        sign = self._marks.get(y + self.scroll_offset.y + 1)
        if not sign or self.gutter_width < 2:
            return strip
        place = self.gutter_width - 2
        mark = Strip([Segment(sign, strip.crop(place, place + 1)._segments[0].style)])
        return Strip.join([strip.crop(0, place), mark, strip.crop(place + 1)])

    def _reachable(self, place: tuple[int, int]) -> tuple[int, int]:
        row = max(0, min(place[0], self.document.line_count - 1))
        return row, max(0, min(place[1], len(self.document.get_line(row))))
