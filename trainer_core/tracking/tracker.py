"""What a tracker is told, and who tells it. Each library is imported in one file alone."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from trainer_core.runs.events import Answer

# What a tracker keeps of a run between two processes: its own id of it, and where it lies.
Notes = dict[str, str]


@dataclass(frozen=True)
class About:
    """The run. `config` is every value as it ran, by dotted name; `project` is None where the
    config names none, and then `title` may do."""

    folder: Path
    name: str
    title: str
    project: str | None
    config: dict[str, Any]


@dataclass(frozen=True)
class Row:
    """What there is to say of a step. Rows come in the order of their steps."""

    step: int
    time: float
    values: dict[str, float]
    answers: list[Answer] = field(default_factory=list)


@dataclass(frozen=True)
class Ending:
    """How a run ended; `killed` without a word, `running` where it has not ended at all."""

    outcome: Literal["finished", "stopped", "failed", "killed", "running"]
    message: str = ""
    summary: dict[str, float] = field(default_factory=dict)


class Tracker(Protocol):
    """One run in one tracker. Anything it raises ends the telling, and nothing else."""

    @property
    def notes(self) -> Notes:
        """What it wants to be given when the run is gone on with."""

    def log(self, row: Row) -> None:
        """Take a row."""

    def flush(self) -> None:
        """What was logged is kept from here on, whatever becomes of this process."""

    def finish(self, ending: Ending) -> None:
        """The run has ended."""


def open_tracker(name: str, about: About, notes: Notes) -> Tracker:
    """Begin the run in the tracker `name`, or go on with the one that `notes` are of."""
    if name == "tensorboard":
        from trainer_core.tracking.in_tensorboard import TensorBoardRun

        return TensorBoardRun(about, notes)
    if name == "wandb":
        from trainer_core.tracking.in_wandb import WandbRun

        return WandbRun(about, notes)
    if name == "trackio":
        from trainer_core.tracking.in_trackio import TrackioRun

        return TrackioRun(about, notes)
    from trainer_core.tracking.in_mlflow import MlflowRun

    return MlflowRun(about, notes)


def as_markdown(answers: list[Answer]) -> str:
    """Answers to the sample prompts, to be read."""
    return "\n\n".join(f"**{one.prompt}**\n\n{one.answer}" for one in answers)
