"""How a model's answers are drawn."""

from dataclasses import dataclass

from trainer_core.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen: the likeliest at temperature 0, else drawn from the likeliest that
    make up `top_p` of the probability."""

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UserError for what no answer can be drawn with."""
        if self.max_tokens < 1:
            raise UserError(f"max_tokens is {self.max_tokens}, and an answer has at least one")
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"temperature is {self.temperature}, and must be 0 or more")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p is {self.top_p}, and must be over 0 and at most 1")
