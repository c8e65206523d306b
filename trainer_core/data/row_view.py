"""One row as the screen shows it: as read, as a conversation, and token by token."""

from typing import Protocol

from pydantic import BaseModel

from trainer_core.config.data_section import SplitName
from trainer_core.data.report import DataReport

# More of one row than this helps nobody who reads it on a screen.
MAX_TOKENS = 20_000
MAX_CHARACTERS = 100_000


class ShownTurn(BaseModel):
    """A turn as text."""

    role: str
    content: str
    trained: bool


class ShownToken(BaseModel):
    """A token: its id, the text that it stands for, and what becomes of it. `special` tokens are
    the tokenizer's own; a `lost` one lies beyond model.max_length."""

    id: int
    text: str
    special: bool = False
    trained: bool = False
    lost: bool = False


class RowView(BaseModel):
    """A row of a split. `index` counts in the split, `row` over the rows as read, both from 0.
    `tokens` is empty where no model is known, or where the row cannot be an example; of a very
    long row `left_out` tokens are not shown."""

    split: SplitName
    index: int
    row: int
    where: str
    turns: list[ShownTurn] = []
    text: str = ""
    tokens: list[ShownToken] = []
    left_out: int = 0
    problems: list[str] = []


def shortened(view: RowView) -> RowView:
    """The view in a size that can be sent and shown, however long its row is; what is missing is
    said."""
    view.left_out += max(0, len(view.tokens) - MAX_TOKENS)
    view.tokens = view.tokens[:MAX_TOKENS]
    view.text = _cut(view.text, MAX_CHARACTERS)
    left = MAX_CHARACTERS
    for turn in view.turns:
        turn.content = _cut(turn.content, left)
        left = max(100, left - len(turn.content))
    return view


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n… {len(text) - limit:,} more characters"


class Previewed(Protocol):
    """A dataset that was read to the end, as whoever shows it needs it. `search` may be called in
    another thread than the rest."""

    report: DataReport

    def rows_in(self, split: SplitName) -> int:
        """How many rows can be viewed in the split, those that were dropped included."""
        ...

    def place(self, row: int) -> tuple[SplitName, int]:
        """The split of a row as read, and its index there. Raises IndexError."""
        ...

    def view(self, split: SplitName, index: int) -> RowView:
        """A row of a split. Raises IndexError where there is none."""
        ...

    def search(self, split: SplitName, text: str, start: int = 0) -> int | None:
        """The index of the first row from `start` on that holds `text`, whatever its case."""
        ...
