"""How well a model knows the rows of a slice."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer_core.runs.multi_run_events import Score

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SliceScores:
    """Of each row of a slice: `losses`, the summed nats of its trained tokens, float64 [rows];
    `correct`, how many of them were guessed right, and `tokens`, how many there are, int64 [rows].
    """

    losses: Floats
    correct: Counts
    tokens: Counts

    @property
    def score(self) -> Score:
        """Over all trained tokens of the slice; nothing is known of one without any."""
        total = int(self.tokens.sum())
        if total == 0:
            return Score(loss=float("nan"), accuracy=float("nan"))
        return Score(
            loss=float(self.losses.sum()) / total, accuracy=int(self.correct.sum()) / total
        )

    def to_json(self) -> dict[str, Any]:
        """As plain lists."""
        return {
            "losses": self.losses.tolist(),
            "correct": self.correct.tolist(),
            "tokens": self.tokens.tolist(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "SliceScores":
        """The opposite of `to_json`, to the last bit."""
        return cls(
            np.array(data["losses"], dtype=np.float64),
            np.array(data["correct"], dtype=np.int64),
            np.array(data["tokens"], dtype=np.int64),
        )
