"""What a row says: turns, or a plain text. The same for every format and every model."""

from collections.abc import Mapping, Sequence
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


def as_prompt(turns: Sequence[Turn]) -> str | list[dict[str, Any]]:
    """For a person, and for a file of prompts: the text of a lone question, else all turns, as a
    row has them."""
    if len(turns) == 1 and turns[0].role == "user":
        return turns[0].content
    return [{"role": turn.role, "content": turn.content, **turn.extra} for turn in turns]


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

    def question(self) -> tuple[tuple[Turn, ...], Turn] | None:
        """The turns before the last answer, and that answer; None for a text, which asks nothing,
        and where nothing comes before it."""
        answers = [n for n, turn in enumerate(self.turns) if turn.role == "assistant"]
        if not answers or answers[-1] == 0:
            return None
        return self.turns[: answers[-1]], self.turns[answers[-1]]
