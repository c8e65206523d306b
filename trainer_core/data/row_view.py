"""One row as the screen shows it: as read, as a conversation, and token by token."""

from pydantic import BaseModel

from trainer_core.config.data_section import SplitName


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
    `tokens` is empty where no model is known, or where the row cannot be an example."""

    split: SplitName
    index: int
    row: int
    where: str
    turns: list[ShownTurn] = []
    text: str = ""
    tokens: list[ShownToken] = []
    problems: list[str] = []
