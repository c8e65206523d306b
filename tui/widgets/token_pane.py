"""A row as the model sees it: token by token, trained and masked told apart by more than colour.

Every line is trained or masked as a whole: `▌` stands before what is trained, `×` before what is
cut off. So a line may end where nothing ends; a newline in the text is a `⏎`.
"""

from collections.abc import Iterator

from rich.cells import cell_len, chop_cells
from rich.style import Style
from rich.text import Text

from trainer_core.data.row_view import RowView, ShownToken
from trainer_core.text import clean
from tui.widgets.lines import Lines

GUTTER = 3
# Control characters as their pictures, so that none is lost from sight.
_PICTURES = {code: 0x2400 + code for code in range(32) if code != 10} | {0x7F: 0x2421}

_MASKED = Style(dim=True)
_TRAINED = Style(bold=True)
_SPECIAL = Style(reverse=True)
_LOST = Style(strike=True, dim=True)


class TokenPane(Lines):
    """The tokens of a row. Every other token stands on a shade, where the terminal has one."""

    COMPONENT_CLASSES = {"tokens--other"}
    DEFAULT_CSS = "TokenPane > .tokens--other { background: $panel; }"

    def show_row(self, view: RowView, instead: str) -> None:
        """Show another row; `instead` says why there is nothing to show."""
        shade = Style(bgcolor=self.get_component_rich_style("tokens--other").bgcolor)
        if view.tokens:
            self.show(lambda width: token_lines(view, width, shade))
        else:
            self.show(lambda width: [Text(instead, "dim", end="", no_wrap=True)][: width > 0])


def counts_line(view: RowView) -> str:
    """`143 tokens · 57 trained (40%) · 12 beyond 512`."""
    shown, trained = len(view.tokens), sum(token.trained for token in view.tokens)
    if not shown:
        return ""
    words = f"{shown:,} tokens · {trained:,} trained ({trained / shown:.0%})"
    if view.left_out:
        words = f"first {shown:,} of {shown + view.left_out:,} tokens · {trained:,} of them trained"
    if view.limit is not None and (lost := shown + view.left_out - view.limit) > 0:
        words += f" · {lost:,} beyond {view.limit:,}"
    return words


def token_lines(view: RowView, width: int, shade: Style) -> list[Text]:
    """The tokens in lines of at most `width` cells, with a mark before each line."""
    lines: list[Text] = []
    room = max(2, width - GUTTER)  # a character can be two cells wide
    used, before = room, ""
    for number, token in enumerate(view.tokens):
        mark = ("▌" if token.trained else " ") + ("×" if token.lost else " ")
        if token.lost and not before.endswith("×"):
            words = f"── cut at {view.limit or 0:,} "
            lines.append(Text(f"{words:─<{width}}"[: max(1, width)], "bold", end=""))
        if mark != before:
            used = room
        before = mark
        style = _style(token) + (shade if number % 2 else Style.null())
        for piece, ends_line in _pieces(shown_text(token), room):
            if used + cell_len(piece) > room:
                lines.append(Text(f"{mark:<{GUTTER}}"[:width], "bold", end="", no_wrap=True))
                used = 0
            lines[-1].append(piece, style)
            used = room if ends_line else used + cell_len(piece)
    return lines


def shown_text(token: ShownToken) -> str:
    """What stands for a token: special ones in ⟨⟩, leading spaces as dots, newlines as `⏎\\n`."""
    if not token.text:
        return f"⟨{token.id}⟩"
    if token.special:
        inner = token.text
        if inner.startswith("<") and inner.endswith(">") and len(inner) > 2:
            inner = inner[1:-1]
        return f"⟨{clean(inner.translate(_PICTURES))}⟩"
    text = clean(token.text.translate(_PICTURES))
    words = text.lstrip(" ")
    return ("·" * (len(text) - len(words)) + words).replace("\n", "⏎\n")


def _style(token: ShownToken) -> Style:
    style = _LOST if token.lost else _TRAINED if token.trained else _MASKED
    return style + _SPECIAL if token.special else style


def _pieces(text: str, room: int) -> Iterator[tuple[str, bool]]:
    """The parts of a token that fit in a line, each with whether a line ends after it."""
    *ended, rest = text.split("\n")
    for line in ended:
        *parts, last = chop_cells(line, room) or [""]
        yield from ((part, False) for part in parts)
        yield last, True
    yield from ((part, False) for part in chop_cells(rest, room))
