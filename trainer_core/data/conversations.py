"""What a row says: turns, or a plain text. The same for every format and every model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Turn:
    """One message. `extra` goes to the chat template as it is: tool_calls, tool_call_id, name,
    reasoning_content. `trained` is False where the data says not to learn this turn (weight 0)."""

    role: str  # system, user, assistant, tool
    content: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    trained: bool = True


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns of a row; or, with `text`, a text that is trained on as it stands.

    A `pair` is one prompt and one answer, which a model without a chat template can learn too.
    A `templated` text already holds the marks of a chat template.
    """

    where: str
    turns: tuple[Turn, ...] = ()
    pair: bool = False
    tools: tuple[Mapping[str, Any], ...] = ()
    text: str | None = None
    templated: bool = False
