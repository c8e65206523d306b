"""What a chat job is asked, and what it answers, as it travels."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from trainer_core.config.sampling import Sampling
from trainer_core.data.conversations import Turn

# What ended an answer: the model, `max_tokens`, the model's context, a person; nothing yet.
Ended = Literal["itself", "length", "context", "stopped", ""]


def how_it_ended(tokens: int, room: int | None, *, by_itself: bool) -> Ended:
    """Of an answer that no person stopped. Its context had room for `room` tokens; None where no
    limit is known."""
    if by_itself:
        return "itself"
    return "length" if room is None or tokens < room else "context"


class Say(BaseModel):
    """The next turn of a conversation; answered with a Said."""

    about: Literal["say"] = "say"
    turns: list[Turn]
    tools: list[Mapping[str, Any]] = []
    sampling: Sampling = Sampling()


class Hush(BaseModel):
    """End the answer that is being given; what there is of it is the answer."""

    about: Literal["hush"] = "hush"


class Said(BaseModel):
    """An answer, or its beginning. `tokens` were written, the one that ended it included; `seconds`
    passed since the question was taken up."""

    text: str = ""
    tokens: int = 0
    seconds: float = 0.0
    ended: Ended = ""

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds if self.seconds else 0.0


_QUESTION: TypeAdapter[Say | Hush] = TypeAdapter(
    Annotated[Say | Hush, Field(discriminator="about")]
)


def parse_words(about: dict[str, Any]) -> Say | Hush:
    """What was said, as it came. Raises ValueError, and UserError for settings of no use."""
    return _QUESTION.validate_python(about)
