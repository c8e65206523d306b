"""What a job says. One event is one line of events.jsonl, and the same bytes go over the wire.

Numbers start at 1 and have no gaps in the file. `time` is seconds since the epoch (for people);
`elapsed` fields are measured with a monotonic clock. docs/formats.md describes each event.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from trainer_core.data.chat import Ended
from trainer_core.errors import Cause
from trainer_core.hardware.sample import MachineSample
from trainer_core.runs.event import BaseEvent
from trainer_core.runs.multi_run_events import Forgetting, Merged, RunStart, Spread, Undone

Values = dict[str, float | None]


class Stage(BaseEvent):
    """The job entered a stage: starting, importing, data, tokenizing, planning, loading, answering,
    training, evaluating, saving, merging, scoring, paused, stopping."""

    type: Literal["stage"] = "stage"
    stage: str
    detail: str = ""


class Progress(BaseEvent):
    """How far a stage is; `rate` is units a second."""

    type: Literal["progress"] = "progress"
    stage: str
    done: int
    total: int | None = None
    unit: str = ""
    rate: float | None = None


class Plan(BaseEvent):
    """The run as resolved just before loading weights. `memory` is planning's MemoryPlan."""

    type: Literal["plan"] = "plan"
    total_steps: int
    epochs: float
    values: dict[str, Any]
    reasons: dict[str, str]
    memory: dict[str, Any] = {}
    resumed_from: int | None = None


class Metrics(BaseEvent):
    """One optimizer step. `values` is the trainer's own log: loss, grad_norm, learning_rate…

    `run` is which run of a multi-run it belongs to, 0 where there is only one; `step` counts
    through all of them.
    """

    type: Literal["metrics"] = "metrics"
    run: int = 0
    step: int
    total_steps: int
    epoch: float
    elapsed: float
    values: Values
    tokens: int = 0
    tokens_per_second: float | None = None
    seconds_left: float | None = None


class Eval(BaseEvent):
    """A validation: mean loss over the validation split, in nats per trained token."""

    type: Literal["eval"] = "eval"
    run: int = 0
    step: int
    total_steps: int = 0
    epoch: float
    loss: float
    best: bool
    values: Values = {}


class Hardware(BaseEvent, MachineSample):
    """A sample of the machine while `step` was being trained."""

    type: Literal["hardware"] = "hardware"
    step: int = 0
    stage: str = ""


class Log(BaseEvent):
    """A line of our own log."""

    type: Literal["log"] = "log"
    level: str
    message: str
    logger: str = ""


class Checkpoint(BaseEvent):
    """A checkpoint is complete on disk. `path` is relative to the run folder."""

    type: Literal["checkpoint"] = "checkpoint"
    run: int = 0
    step: int
    path: str
    reason: str


class Answer(BaseModel):
    """One sample prompt and what the model said."""

    prompt: str
    answer: str


class Samples(BaseEvent):
    """The sample prompts, answered before or after training."""

    type: Literal["samples"] = "samples"
    when: Literal["before", "during", "after"]
    step: int
    answers: list[Answer]


class Notice(BaseEvent):
    """Something the user should know, once."""

    type: Literal["warning"] = "warning"
    message: str
    hint: str = ""


class Measure(BaseModel):
    """One number of an export's check, and the limit that it had to keep. `at_least` says which way
    the limit lies."""

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the limit was kept; a value that is no number never does."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class Spoken(BaseModel):
    """One prompt, as the trained model and the exported one go on with it, greedily."""

    prompt: str
    trained: str
    exported: str


class Check(BaseModel):
    """An exported model compared with the trained one. `differs` names what does, if anything;
    `runtime` is who ran it (llama.cpp, onnxruntime, transformers)."""

    runtime: str
    measures: list[Measure]
    differs: str = ""
    spoken: list[Spoken] = []

    @property
    def passed(self) -> bool:
        """Whether nothing differs that should not."""
        return not self.failure

    @property
    def failure(self) -> str:
        """What differs, in a few words; empty if it passed."""
        if self.differs:
            return self.differs
        return ", ".join(
            f"{broken.name}: {broken.value:.4g}, and {'at least' if broken.at_least else 'at most'}"
            f" {broken.limit:.4g} is right"
            for broken in self.measures
            if not broken.passed
        )


class Exported(BaseEvent):
    """One thing that an export wrote: `path` relative to the export's folder, its size in bytes.
    `check` is None where it was left out. `commands` say what to do with it."""

    type: Literal["exported"] = "exported"
    format: str
    path: str
    size: int
    seconds: float
    check: Check | None = None
    commands: list[str] = []


class Predicted(BaseEvent):
    """An answer of a prediction job, a line of its predictions.jsonl. `row` counts the prompts from
    0, `where` is the row's place in the data; `prompt` is the text of a lone question, else all
    turns; `expected` None where no answer is known. `tokens` were written, the one that ended it
    included; `seconds` is what its batch took, `ended` what ended it. Of the row with the answer
    that is expected, `nats` is the loss of all its `trained_tokens` together; None where that is
    not known."""

    type: Literal["predicted"] = "predicted"
    row: int
    where: str = ""
    prompt: str | list[dict[str, Any]]
    tools: list[dict[str, Any]] = []
    expected: str | None = None
    answer: str
    tokens: int
    seconds: float
    ended: Ended = ""
    nats: float | None = None
    trained_tokens: int | None = None

    def facts(self) -> dict[str, Any]:
        """What a line of predictions.jsonl holds."""
        return self.model_dump(
            exclude={"n", "type", "time"} | ({"tools"} if not self.tools else set())
        )


class Scored(BaseEvent):
    """How good the answers of a prediction job are, or of a training after `step` to some rows of
    validation, beside those that were expected: scores of 0 to 1 by name (scoring/answers.py),
    each with its 95 % interval over the `rows`; and `perplexity`, lower is better, that of the
    rows' trained tokens."""

    type: Literal["scored"] = "scored"
    step: int = 0
    rows: int
    scores: dict[str, Spread]


class Finished(BaseEvent):
    """The job ended as asked: all its work done, or stopped by the user. `commands` are what an
    export can be used with next."""

    type: Literal["finished"] = "finished"
    outcome: Literal["finished", "stopped"]
    step: int
    elapsed: float
    saved: str = ""
    message: str = ""
    summary: Values = {}
    commands: list[str] = []


class Failed(BaseEvent):
    """The job died or could not do its work. `cause`: user (a mistake that the user can mend),
    error (it gave up, or met a bug), killed (from outside), out-of-memory, gpu (the GPU or its
    driver), crashed (in native code, or without a word), hung (no sign of life)."""

    type: Literal["failed"] = "failed"
    message: str
    hint: str = ""
    cause: Cause = "error"
    exit_status: int = 1
    step: int = 0


class Reply(BaseEvent):
    """The answer to a question (worker/protocol.py). Never numbered and never written: it may hold
    rows, which nobody asked to have on disk. `error` says why there is no answer. A `part` is what
    is known so far of an answer that is still to come whole."""

    type: Literal["reply"] = "reply"
    id: str
    answer: dict[str, Any] = {}
    error: str = ""
    part: bool = False


class State(BaseEvent):
    """Said but not written (n stays 0): what the job cannot record itself, such as a full disk, or
    that it is suspended."""

    type: Literal["state"] = "state"
    message: str
    trouble: bool = True


Event = Annotated[
    Stage
    | Progress
    | Plan
    | Metrics
    | Eval
    | Hardware
    | Log
    | Checkpoint
    | RunStart
    | Merged
    | Forgetting
    | Undone
    | Samples
    | Notice
    | Exported
    | Predicted
    | Scored
    | Finished
    | Failed
    | Reply
    | State,
    Field(discriminator="type"),
]
_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)


def encode(event: Event) -> bytes:
    """One line of JSON, without its newline."""
    return event.model_dump_json().encode()


def decode(line: bytes | str) -> Event:
    """Parse a line of events.jsonl or a message. Raises ValueError for what is no event."""
    return _ADAPTER.validate_json(line)
