"""One side of a conversation: what was asked, what the model said so far, how fast."""

from collections.abc import Sequence

from rich.text import Text

from trainer_core.text import clean, one_line
from tui.try_side import Exchange, is_as_expected
from tui.widgets.lines import Lines
from tui.widgets.wrapped import wrapped

# Why an answer ended, where the model did not end it itself.
ENDINGS = {
    "length": "cut at max_tokens",
    "context": "the context is full",
    "stopped": "stopped",
}
# Longer texts of a row are cut on the screen, not in what is asked.
MOST_SHOWN = 20_000


class ChatPane(Lines):
    """All exchanges, the newest last. Lines of those that are over are made once for a width."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._made: list[list[Text]] = []
        self._made_for = 0

    def show_exchanges(self, exchanges: Sequence[Exchange]) -> None:
        """Show these: the ones of before, and perhaps more."""

        def make(width: int) -> list[Text]:
            if width != self._made_for or len(self._made) > len(exchanges):
                self._made, self._made_for = [], width
            while len(self._made) < len(exchanges) and exchanges[len(self._made)].over:
                self._made.append(self._lines_of(exchanges, len(self._made), width))
            rest = range(len(self._made), len(exchanges))
            made = [*self._made, *(self._lines_of(exchanges, n, width) for n in rest)]
            return [line for lines in made for line in lines]

        self.grow(make)

    def forget(self) -> None:
        """Show others from now on."""
        self._made = []

    def _lines_of(self, exchanges: Sequence[Exchange], number: int, width: int) -> list[Text]:
        one = exchanges[number]
        lines = [] if number == 0 else [Text(end="")]
        if number and exchanges[number - 1].conversation != one.conversation:
            rule = Text("─" * width, "dim", end="")
            lines += [rule, Text(end="")]
        return lines + exchange_lines(one, width)


def exchange_lines(exchange: Exchange, width: int) -> list[Text]:
    """The prompt, with what goes before it where a row begins the conversation, and the answer."""
    lines: list[Text] = []
    for turn in (*exchange.prompt.before, exchange.prompt.turn):
        lines += _turn(turn.role, turn.content, width)
    said = exchange.said
    lines += _turn(exchange.model.name, said.text, width, empty="(nothing)" * exchange.over)
    if exchange.error:
        lines += wrapped(Text(f"! {one_line(exchange.error, limit=600)}", "yellow"), width)
    elif exchange.over or said.tokens:
        lines += wrapped(Text(answer_words(exchange), "dim"), width)
    return lines


def answer_words(exchange: Exchange) -> str:
    """`8 tokens, 45.1 a second · as expected`."""
    said = exchange.said
    words = f"{said.tokens:,} token{'s' if said.tokens != 1 else ''}"
    words += f", {said.rate:,.1f} a second" if said.rate else ""
    parts = [words, *([ENDINGS[said.ended]] if said.ended in ENDINGS else [])]
    if exchange.over and is_as_expected(exchange):
        parts.append("as expected")
    return " · ".join(parts)


def _turn(role: str, content: str, width: int, empty: str = "") -> list[Text]:
    head = Text(f" {one_line(role, limit=40)} ", "reverse", no_wrap=True, end="")
    head.truncate(width, overflow="ellipsis")
    text = clean(content, limit=MOST_SHOWN) or empty
    return [head, *wrapped(Text(text), width)]
