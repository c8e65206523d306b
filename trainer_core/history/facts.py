"""The facts of a run: everything that its folder tells, in one model.

`reading.read_facts` fills it. `backprop runs show`, `diff` and `export` print it, and a report can
be written from it. What is None or empty was never there, or cannot be read; `unread` names the
latter.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from trainer_core.runs.multi_run_events import Spread

FORMAT = 1


class Fact(BaseModel):
    """A part of the facts. What is no number is null in JSON."""

    model_config = ConfigDict(ser_json_inf_nan="null", protected_namespaces=())


class CurveFacts(Fact):
    """A metric over the steps; `best` is the lowest, first reached at `best_step`."""

    points: int
    first: float
    last: float
    best: float
    best_step: int


class MemoryFacts(Fact):
    """Bytes: what the run took at most, and what the plan had said. A run that broke off did not
    measure it: then it is the most in the samples of the machine."""

    device: str = ""
    planned: int | None = None
    peak: int | None = None
    sampled: bool = False


class Setting(Fact):
    """A value as the run had it; `origin` is user, preset, auto or default."""

    value: Any
    origin: str
    why: str = ""


class Material(Fact):
    """The examples of a split: how many, and their fingerprint."""

    rows: int
    fingerprint: str


class Place(Fact):
    """Trained weights; `path` is relative to the run folder. As runs/trained.py's TrainedPlace."""

    name: str
    path: str
    step: int | None = None
    loss: float | None = None


class Artefact(Fact):
    """A thing that an export made. `size` in bytes is None where it is gone; `passed` None where it
    was not checked, by `runtime`; `differs` says why it failed."""

    path: str
    size: int | None = None
    runtime: str = ""
    passed: bool | None = None
    differs: str = ""


class ExportFacts(Fact):
    """An export of the run; `place` is its folder, relative to the run's."""

    place: str
    state: str
    message: str = ""
    artefacts: list[Artefact] = []


class PredictionFacts(Fact):
    """Prompts that were answered by `model`, said in words: `the base` (as `base` says), `step-40`,
    `what was trained`, perhaps `of` another run. `asked` says what; of an evaluation's second job
    what the first was asked. `compared` has the differences of an evaluation against `other`, a
    folder of answers of `other_model`."""

    place: str
    state: str
    asked: str = ""
    model: str = ""
    sampling: dict[str, Any] = {}
    checkpoint: str | None = None
    base: bool = False
    rows: int = 0
    scores: dict[str, Spread] = {}
    other: str | None = None
    other_model: str = ""
    compared: dict[str, Spread] = {}
    gates: list[dict[str, Any]] = []


class PartFacts(Fact):
    """One run of a multi-run. `general_loss` is that of the merged adapter on validation rows."""

    number: int
    name: str = ""
    steps: int | None = None
    first_loss: float | None = None
    last_loss: float | None = None
    general_loss: float | None = None
    done: bool = False
    undone: bool = False
    early: str = ""


class RunFacts(Fact):
    """A run. Times are seconds since the epoch, spans are seconds, sizes bytes, losses nats a
    trained token. `seconds` is how long its processes were at work, all resumes together; `way_on`
    says how to go on with one that ended early."""

    format: int = FORMAT
    id: str
    path: str
    state: str
    host: str = ""
    model: str = ""
    data: str = ""
    replay_of: str = ""
    created: float = 0.0
    ended: float | None = None
    seconds: float | None = None
    step: int = 0
    total_steps: int = 0
    epochs: float | None = None
    resumes: int = 0
    tokens: int = 0
    tokens_per_second: float | None = None
    loss: CurveFacts | None = None
    eval_loss: CurveFacts | None = None
    memory: MemoryFacts = MemoryFacts()
    message: str = ""
    cause: str = ""
    exit_status: int | None = None
    way_on: str = ""
    warnings: list[str] = []
    size: int = 0
    material: dict[str, Material] = {}
    base: str = ""
    trained: list[Place] = []
    exports: list[ExportFacts] = []
    predictions: list[PredictionFacts] = []
    # Of a multi-run: its runs, and what was forgotten in the end, in nats and with its interval.
    runs: list[PartFacts] = []
    forgetting: Spread | None = None
    settings: dict[str, Setting] = {}
    unread: list[str] = []
