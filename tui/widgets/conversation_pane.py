"""A row as a conversation: who says what, and which turns are trained."""

import io

from rich.console import Console
from rich.text import Text

from trainer_core.data.row_view import RowView
from trainer_core.text import clean, one_line
from tui.widgets.lines import Lines

# Only Rich's line breaking is wanted of it.
_CONSOLE = Console(file=io.StringIO())


class ConversationPane(Lines):
    """The turns of a row, or its text."""

    def show_row(self, view: RowView) -> None:
        """Show another row."""
        self.show(lambda width: conversation_lines(view, width))


def conversation_lines(view: RowView, width: int) -> list[Text]:
    """Its problems, then each turn under the name of its role."""
    lines: list[Text] = []
    for problem in view.problems:
        lines += _wrapped(Text(f"! {one_line(problem, limit=500)}", "yellow", end=""), width)
    for turn in view.turns:
        if lines:
            lines.append(Text(end=""))
        role = one_line(turn.role, limit=40) or "(no role)"
        head = Text(f" {role} ", "reverse", no_wrap=True, overflow="ellipsis", end="")
        head.append("  ▌ trained" if turn.trained else "", "bold")
        head.truncate(width, overflow="ellipsis")
        lines.append(head)
        lines += _wrapped(Text(clean(turn.content) or "(nothing)", end=""), width)
    if view.text:
        lines += _wrapped(Text(clean(view.text), end=""), width)
    return lines or [Text("(an empty row)", end="")]


def _wrapped(text: Text, width: int) -> list[Text]:
    lines = list(text.wrap(_CONSOLE, width))
    for line in lines:
        line.end = ""
    return lines
