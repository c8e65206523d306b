"""An export as it stands after the events seen so far."""

from dataclasses import dataclass, field

from trainer_core.runs.events import (
    Event,
    Exported,
    Failed,
    Finished,
    Notice,
    Progress,
    Stage,
    State,
)


@dataclass
class StageSeen:
    """A stage: since when (seconds since the epoch), until when if it is over, how far it is."""

    stage: str
    detail: str
    since: float
    until: float | None = None
    progress: Progress | None = None


@dataclass
class ExportView:
    """Folds events, oldest first. The same event twice does no harm."""

    stages: list[StageSeen] = field(default_factory=list)
    written: list[Exported] = field(default_factory=list)
    warnings: list[Notice] = field(default_factory=list)
    trouble: str = ""
    outcome: Finished | Failed | None = None
    last: int = 0

    @property
    def stage(self) -> StageSeen | None:
        """The stage that goes on."""
        return self.stages[-1] if self.stages and self.stages[-1].until is None else None

    def apply(self, event: Event) -> None:
        """Take one event in."""
        if event.n and event.n <= self.last:
            return
        self.last = max(self.last, event.n)
        if isinstance(event, Stage):
            self._close(event.time)
            self.stages.append(StageSeen(event.stage, event.detail, event.time))
        elif isinstance(event, Progress):
            if self.stage is not None:
                self.stage.progress = event
        elif isinstance(event, Exported):
            self.written.append(event)
        elif isinstance(event, Notice):
            self.warnings.append(event)
        elif isinstance(event, State):
            self.trouble = event.message if event.trouble else ""
        elif isinstance(event, Finished | Failed):
            self._close(event.time)
            self.outcome = event

    def _close(self, time: float) -> None:
        if self.stage is not None:
            self.stage.until = time
