"""A run as it stands after the events seen so far: what the dashboard and the text client show."""

from collections import deque
from dataclasses import dataclass, field

from trainer_core.runs.curves import SHOWN_POINTS, Curve, points_of
from trainer_core.runs.events import (
    Checkpoint,
    Eval,
    Event,
    Failed,
    Finished,
    Hardware,
    Log,
    Metrics,
    Notice,
    Plan,
    Predicted,
    Progress,
    Samples,
    Scored,
    Stage,
    State,
)
from trainer_core.runs.multi_run_events import Forgetting, Merged, RunStart, Undone
from trainer_core.text import size

# A screen takes about 8 KB for each; worker.log has them all.
MAX_LOG_LINES = 1000
# Answers of a prediction job; its predictions.jsonl has them all.
MAX_PREDICTED = 1000


@dataclass
class RunView:
    """Folds events, oldest first. The same event twice does no harm."""

    stage: str = ""
    stage_detail: str = ""
    stage_since: float = 0.0
    progress: Progress | None = None
    plan: Plan | None = None
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    tokens: int = 0
    tokens_per_second: float | None = None
    seconds_left: float | None = None
    paused: bool = False
    curves: dict[str, Curve] = field(default_factory=dict)
    best_eval: float | None = None
    hardware: Hardware | None = None
    checkpoint: Checkpoint | None = None
    samples: dict[str, Samples] = field(default_factory=dict)
    scored: Scored | None = None
    predicted: deque[Predicted] = field(default_factory=lambda: deque(maxlen=MAX_PREDICTED))
    # Of a multi-run: its runs by (arm, number), what became of each, and the merges undone.
    run: RunStart | None = None
    runs: dict[tuple[str, int], RunStart] = field(default_factory=dict)
    merges: dict[tuple[str, int], Merged] = field(default_factory=dict)
    forgetting: dict[tuple[str, int], Forgetting] = field(default_factory=dict)
    undone: set[int] = field(default_factory=set)
    warnings: list[Notice] = field(default_factory=list)
    log: deque[Log | Notice] = field(default_factory=lambda: deque(maxlen=MAX_LOG_LINES))
    log_count: int = 0
    trouble: str = ""
    outcome: Finished | Failed | None = None
    last: int = 0

    def apply(self, event: Event) -> None:
        """Take one event in."""
        if event.n and event.n <= self.last:
            return
        self.last = max(self.last, event.n)
        if isinstance(event, Stage):
            self._stage(event)
        elif isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Plan):
            self.plan, self.total_steps = event, event.total_steps
        elif isinstance(event, Metrics):
            self._metrics(event)
        elif isinstance(event, Eval):
            self.best_eval = event.loss if event.best else self.best_eval
        elif isinstance(event, Hardware):
            self.hardware = event
        elif isinstance(event, Checkpoint):
            self.checkpoint = event
        elif isinstance(event, Samples):
            self.samples[event.when] = event
        elif isinstance(event, Predicted):
            self.predicted.append(event)
        elif isinstance(event, Scored):
            self.scored = event
        elif isinstance(event, RunStart):
            self.run = self.runs[event.arm, event.run] = event
        elif isinstance(event, Merged):
            self.merges[event.arm, event.run] = event
        elif isinstance(event, Forgetting):
            self.forgetting[event.arm, event.run] = event
        elif isinstance(event, Undone):
            self.undone.add(event.run)
        elif isinstance(event, Log | Notice):
            self.log.append(event)
            self.log_count += 1
            if isinstance(event, Notice):
                self.warnings.append(event)
        elif isinstance(event, State):
            self.trouble = event.message if event.trouble else ""
        elif isinstance(event, Finished | Failed):
            self.outcome, self.trouble = event, ""
            self.step = max(self.step, event.step)
        for name, step, value in points_of(event):
            self.curves.setdefault(name, Curve(SHOWN_POINTS)).add(step, value)

    def curve(self, name: str) -> Curve:
        """The curve `name`, empty if nothing came yet."""
        return self.curves.get(name) or Curve()

    def _stage(self, event: Stage) -> None:
        self.stage, self.stage_detail, self.stage_since = event.stage, event.detail, event.time
        self.paused = event.stage == "paused"
        self.progress = None
        if event.stage == "starting":  # a resume of a run that had ended
            self.outcome = None

    def _metrics(self, event: Metrics) -> None:
        self.step, self.total_steps, self.epoch = event.step, event.total_steps, event.epoch
        self.tokens, self.tokens_per_second = event.tokens, event.tokens_per_second
        self.seconds_left = event.seconds_left


def memory_words(ended: Finished) -> str:
    """`738.8 MiB at most; the plan said 874.4 MiB, +18 %`. Empty where nothing was measured."""
    peak, planned = ended.summary.get("memory_peak"), ended.summary.get("memory_estimate")
    if peak is None:
        return ""
    error = ended.summary.get("memory_error")
    said = f"; the plan said {size(planned)}, {error:+.0%}" if planned and error is not None else ""
    return f"{size(peak)} at most{said}"
