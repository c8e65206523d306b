"""One row as the screen shows it: as read, as a conversation, and token by token."""

from pydantic import BaseModel

from trainer_core.config.data_section import SplitName

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
    """A row of a split; of none before the data was read to its end. `index` counts in the split,
    `row` over the rows as read, both from 0. `tokens` is empty where no model is known, or where
    the row cannot be an example; of a very long row `left_out` tokens are not shown. `limit` is
    model.max_length where tokens beyond it are lost."""

    split: SplitName | None = None
    index: int = 0
    row: int = 0
    where: str
    turns: list[ShownTurn] = []
    text: str = ""
    tokens: list[ShownToken] = []
    left_out: int = 0
    limit: int | None = None
    problems: list[str] = []


def shortened(view: RowView) -> RowView:
    """The view with texts in a size that can be sent and shown, however long its row is; what is
    missing is said."""
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
