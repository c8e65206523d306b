"""What a multi-run says beside what every run does: its runs, its merges, what was forgotten."""

from typing import Literal

from pydantic import BaseModel

from trainer_core.runs.event import BaseEvent


class RunStart(BaseEvent):
    """A run of a multi-run begins, or goes on. It trains `steps` steps after `first_step`, on
    `rows` rows a pass, of which `replayed` come from runs before. `arm` is empty, or the baseline
    that it belongs to: sequential, joint."""

    type: Literal["run"] = "run"
    arm: str = ""
    run: int
    of: int
    name: str
    first_step: int
    steps: int
    rows: int
    replayed: int = 0
    learning_rate: float


class Merged(BaseEvent):
    """A run of a multi-run is over, and what it trained is merged. `path` is the merged adapter,
    relative to the run folder; `drift` says by how much each layer of it changed: ‖ΔW − ΔW before‖
    / ‖ΔW before‖, empty after the first run."""

    type: Literal["merged"] = "merged"
    arm: str = ""
    run: int
    merge: str
    path: str
    drift: dict[str, float] = {}


class Score(BaseModel):
    """How well a slice is known: mean loss in nats per trained token, and the share of trained
    tokens that were guessed right."""

    loss: float
    accuracy: float


class Spread(BaseModel):
    """A number and its 95 % bootstrap interval over the rows of the slices."""

    value: float
    low: float
    high: float


class Summary(BaseModel):
    """Over the slices of all runs so far, the general one left out. `backward` is how much better
    the runs before are known than just after each (negative: worse), `forgetting` how much worse
    than at best; both None after the first run. Losses count in nats, with lower as better."""

    average: Spread
    backward: Spread | None = None
    forgetting: Spread | None = None


class Forgetting(BaseEvent):
    """What is known of every slice after run `run` (0: before the first).

    `slices` are the held-out rows of each run by its name, and last those of validation, "general".
    `merged` and `fine_tuned` have a score for each, of the merged adapter and of the run's own.
    `summaries` are by "merged" and "fine_tuned", then by "loss" and "accuracy"; empty for run 0.
    `perplexity_ratio` is the worst exp(loss now - loss just after its run) of the merged adapter.
    """

    type: Literal["forgetting"] = "forgetting"
    arm: str = ""
    run: int
    of: int
    slices: list[str]
    merged: list[Score]
    fine_tuned: list[Score]
    summaries: dict[str, dict[str, Summary]] = {}
    perplexity_ratio: float | None = None


class Undone(BaseEvent):
    """The merge of run `run` was undone: the adapter is again as it was before it."""

    type: Literal["undone"] = "undone"
    run: int
