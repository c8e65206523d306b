"""Rows that are one text: for continued pretraining, or with a chat template's marks in it."""

import re
from collections.abc import Sequence

from trainer_core.data.conversations import Conversation
from trainer_core.data.formats.cells import Columns, as_text, cell
from trainer_core.data.rows import Row

TEMPLATED, RAW = "templated text", "raw text"

# What the chat templates of the common families put around a turn.
_CHAT_MARKS = re.compile(
    r"<\|im_start\|>|<\|start_header_id\|>|\[INST\]|<start_of_turn>|<\|START_OF_TURN_TOKEN\|>"
    r"|<\|(?:user|assistant)\|>|<\|start\|>(?:user|assistant)|<｜(?:User|Assistant)｜>"
)


def chat_mark(texts: Sequence[str]) -> str | None:
    """A mark of a chat template, if at least half of the texts hold one."""
    marks = [found.group() for text in texts if (found := _CHAT_MARKS.search(text))]
    return marks[0] if marks and 2 * len(marks) >= len(texts) else None


def read_templated(row: Row, columns: Columns) -> Conversation:
    """Raises RowError."""
    return Conversation(row.where, text=_text(row, columns), templated=True)


def read_raw(row: Row, columns: Columns) -> Conversation:
    """Raises RowError."""
    return Conversation(row.where, text=_text(row, columns))


def _text(row: Row, columns: Columns) -> str:
    column = columns["text"]
    return as_text(row, cell(row, column), f"`{column}`")
