"""Which runs are meant, and in which order."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from trainer_core.errors import UserError
from trainer_core.history.measured import best_eval_loss
from trainer_core.runs.registry import RunEntry
from trainer_core.runs.status import Phase
from trainer_core.text import one_of

STATES: tuple[str, ...] = (*get_args(Phase), "died")
Order = Literal["started", "loss", "eval"]
ORDERS: tuple[str, ...] = get_args(Order)
_SPAN = re.compile(r"(\d{1,6})\s*(m|h|d|w)")
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(frozen=True)
class Wanted:
    """What a run must be: in one of `states`, with these words in its model, data and id, in any
    case, and started after `since` (seconds since the epoch). Empty ones ask for nothing."""

    states: frozenset[str] = frozenset()
    model: str = ""
    data: str = ""
    name: str = ""
    since: float = 0.0

    def fits(self, entry: RunEntry) -> bool:
        """Whether the run is one of those."""
        status = entry.status
        return (
            (not self.states or entry.state in self.states)
            and self.model.lower() in status.model.lower()
            and self.data.lower() in status.data.lower()
            and self.name.lower() in entry.id.lower()
            and status.created >= self.since
        )


def states_of(words: Iterable[str]) -> frozenset[str]:
    """States as a person names them, commas between. Raises UserError."""
    named = [part.strip().lower() for word in words for part in word.split(",") if part.strip()]
    for word in named:
        if word not in STATES:
            raise UserError(f"no state is called {word}", hint=f"There are {one_of([*STATES])}.")
    return frozenset(named)


def moment_of(words: str, now: float | None = None) -> float:
    """`7d` (ago; also m, h, w), or a date, perhaps with a time: seconds since the epoch. Raises
    UserError."""
    span = _SPAN.fullmatch(words.strip().lower())
    if span is not None:
        return (time.time() if now is None else now) - int(span[1]) * _SECONDS[span[2]]
    try:
        return datetime.fromisoformat(words.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UserError(
            f"{words} is neither a span nor a date", hint="Write 12h, 7d, 2w or 2026-11-01."
        ) from None


def ordered(entries: Iterable[RunEntry], order: str) -> list[RunEntry]:
    """The newest first, or the lowest loss, or the lowest validation loss; runs without one come
    last. Raises UserError."""
    if order not in ORDERS:
        raise UserError(f"runs cannot be sorted by {order}", hint=f"Say {one_of([*ORDERS])}.")
    newest = sorted(entries, key=lambda entry: -entry.status.created)
    if order == "started":
        return newest
    found = {
        id(entry): entry.status.loss if order == "loss" else best_eval_loss(entry.folder)
        for entry in newest
    }

    def place(entry: RunEntry) -> tuple[bool, float]:
        value = found[id(entry)]
        return (True, 0.0) if value is None or value != value else (False, value)

    return sorted(newest, key=place)
