"""How fast a training is, over its last steps."""

from collections import deque

_STEPS = 20


class Pace:
    """Takes the moments at which steps end."""

    def __init__(self) -> None:
        self._ends: deque[tuple[float, int]] = deque(maxlen=_STEPS)

    def pause(self) -> None:
        """What passes until the next step is not the time of a step."""
        self._ends.clear()

    def step(self, now: float, tokens: int, left: int) -> tuple[float | None, float | None]:
        """A step ended at `now` (seconds, monotonic) with `tokens` trained in all and `left` steps
        to come; returns tokens a second and the seconds that are left, None until they can be
        told."""
        self._ends.append((now, tokens))
        if len(self._ends) < 2:
            return None, None
        (first, before), steps = self._ends[0], len(self._ends) - 1
        span = max(now - first, 1e-9)
        return (tokens - before) / span, span / steps * left
