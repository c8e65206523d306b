"""The texts that a config had, for undo and redo."""

MOST = 1000


class TextHistory:
    """Where a person is among the texts. What is typed on one line is undone at once."""

    def __init__(self, text: str) -> None:
        self._texts = [text]
        self._place = 0
        self._typed_line: int | None = None

    @property
    def text(self) -> str:
        """The text now."""
        return self._texts[self._place]

    def change(self, text: str, typed: bool = False) -> None:
        """Go on with another text; `typed` if it came from a key press in the text itself."""
        if text == self.text:
            return
        line = _first_difference(self.text, text) if typed else None
        goes_on = typed and line == self._typed_line and self._place > 0
        del self._texts[self._place + (0 if goes_on else 1) :]
        self._texts = [*self._texts[-MOST:], text]
        self._place = len(self._texts) - 1
        self._typed_line = line

    def undo(self) -> bool:
        """Back to the text before; False if there is none."""
        return self._go(-1)

    def redo(self) -> bool:
        """On to the text that was undone; False if there is none."""
        return self._go(1)

    def _go(self, by: int) -> bool:
        self._typed_line = None
        if not 0 <= self._place + by < len(self._texts):
            return False
        self._place += by
        return True


def _first_difference(one: str, other: str) -> int:
    """The first line in which two texts differ."""
    pairs = zip(one.split("\n"), other.split("\n"), strict=False)
    lines = min(one.count("\n"), other.count("\n"))
    return next((number for number, (a, b) in enumerate(pairs) if a != b), lines)
