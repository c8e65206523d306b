"""Keeps status.json true from the events of a run; one keeper a run."""

import time
from contextlib import suppress

from trainer_core.runs.events import Eval, Event, Failed, Finished, Metrics, Plan, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import Phase, Status, write_status

# A list of runs is read by people: once a second is plenty.
INTERVAL_SECONDS = 1.0


class StatusKeeper:
    """Folds events into the status and writes it, at most once a second unless it matters."""

    def __init__(self, folder: RunFolder, status: Status) -> None:
        self._folder = folder
        self.status = status
        self._written = 0.0
        self._dirty = False

    def see(self, event: Event) -> None:
        """Take an event in, writing at once if the run changed its state."""
        status, before = self.status, self.status.state
        if isinstance(event, Stage):
            status.stage = event.stage
            status.state = _STATES.get(event.stage, "running")
        elif isinstance(event, Plan):
            status.total_steps = event.total_steps
        elif isinstance(event, Metrics):
            status.step, status.total_steps = event.step, event.total_steps
            status.loss = event.values.get("loss", status.loss)
            status.seconds_left = event.seconds_left
        elif isinstance(event, Eval):
            status.eval_loss = event.loss
        elif isinstance(event, Finished | Failed):
            self._ended(event)
        else:
            return
        self._dirty = True
        if status.state != before:
            self.write()

    def write_if_due(self) -> None:
        """Write what changed, if the last write was long enough ago."""
        if self._dirty and time.monotonic() - self._written >= INTERVAL_SECONDS:
            self.write()

    def write(self) -> None:
        """Write now. A full disk must not end a run, so a failure only leaves the old status."""
        with suppress(OSError):
            write_status(self._folder, self.status)
            self._dirty = False
        self._written = time.monotonic()

    def _ended(self, event: Finished | Failed) -> None:
        status = self.status
        status.ended, status.step = event.time, max(status.step, event.step)
        status.seconds_left, status.stage = None, ""
        status.message = event.message
        if isinstance(event, Finished):
            status.state = event.outcome
            status.exit_status = 0 if event.outcome == "finished" else 130
        else:
            status.state, status.exit_status = "failed", event.exit_status
            status.cause = event.cause


_STATES: dict[str, Phase] = {"starting": "starting", "paused": "paused", "stopping": "stopping"}
