"""Watches the numbers of a training: bad losses, exploding ones, gradients that are zero."""

import math
from collections import deque
from dataclasses import dataclass

from trainer_core.config.safety_section import SafetySection

# How many steps' losses are averaged, so that one odd batch says nothing.
STEPS = 10


@dataclass(frozen=True)
class BadNumbers:
    """What is wrong with the numbers, and whether the run must end for it."""

    message: str
    hint: str
    ends: bool = True


class NumberWatch:
    """Looks at each step's loss (nats a trained token) and gradient norm. With `scaled` losses
    (float16) a gradient that is no number is how the scale finds its place."""

    def __init__(self, safety: SafetySection, *, scaled: bool = False) -> None:
        self._safety = safety
        self._scaled = scaled
        self._losses: deque[float] = deque(maxlen=STEPS)
        self._first: float | None = None
        self._lowest = math.inf
        self._zeros = 0

    def look(self, step: int, loss: float, gradient: float | None) -> BadNumbers | None:
        """What is wrong at this step, if anything is."""
        if not math.isfinite(loss):
            return self._bad(f"the loss of step {step} is {loss}, not a number")
        if gradient is not None and not (self._scaled or math.isfinite(gradient)):
            return self._bad(f"the gradient of step {step} is {gradient}, not a number")
        return self._exploding(step, loss) or self._standing_still(step, gradient)

    def _bad(self, message: str) -> BadNumbers:
        return BadNumbers(
            message,
            "Lower training.learning_rate, or compute in another training.precision.",
            ends=self._safety.bad_loss == "stop",
        )

    def _exploding(self, step: int, loss: float) -> BadNumbers | None:
        self._losses.append(loss)
        if len(self._losses) < STEPS:
            return None
        average = sum(self._losses) / STEPS
        if self._first is None:
            self._first = average
        lowest, self._lowest = self._lowest, min(self._lowest, average)
        factor = self._safety.exploding_loss
        if factor is None or average <= self._first or average <= factor * lowest:
            return None
        return BadNumbers(
            f"the loss explodes: {average:.3g} on average of the last {STEPS} steps (to step "
            f"{step}), after {lowest:.3g}",
            "Lower training.learning_rate or training.max_grad_norm, or lengthen "
            "training.warmup_steps; safety.exploding_loss: null goes on all the same.",
        )

    def _standing_still(self, step: int, gradient: float | None) -> BadNumbers | None:
        self._zeros = self._zeros + 1 if gradient == 0 else 0
        limit = self._safety.zero_gradients
        if limit is None or self._zeros < limit:
            return None
        return BadNumbers(
            f"nothing is learnt: the gradient was zero in the last {self._zeros} steps (to step "
            f"{step})",
            "Look at what is trained: the Data screen's tokens, lora.targets, and "
            "training.precision (float16 can lose small gradients).",
        )
