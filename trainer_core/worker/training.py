"""A training from the first step to the last export."""

import logging
from pathlib import Path

from trainer_core.config.export_section import ExportRequest, ExportSection
from trainer_core.engine.train import train
from trainer_core.errors import BackpropError
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.runs.control import CommandName, Control
from trainer_core.runs.events import (
    Event,
    Exported,
    Failed,
    Finished,
    Log,
    Notice,
    Progress,
    Stage,
)
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.worker.client import RunClient
from trainer_core.worker.following import wait_for_end
from trainer_core.worker.launching import launch_export
from trainer_core.worker.trackers import Trackers

# What an abort may wait; the supervisor allows three.
ABORT_SECONDS = 1.0
log = logging.getLogger(__name__)


def train_and_export(
    folder: RunFolder, recorder: Recorder, control: Control, *, own_process: bool = True
) -> Finished:
    """Train the run in `folder`, and make of it what its config asks for. Raises as engine's
    `train`, and BackpropError if an export fails; what was trained is saved by then."""
    trackers = Trackers(folder, recorder, control)
    control.before_end.append(trackers.settle)
    ended = train(
        folder,
        recorder,
        control,
        own_process=own_process,
        when_planned=lambda config: trackers.start(config.tracking.to),
    )
    resolved = read_resolved(folder.resolved)
    if ended.outcome != "finished" or resolved is None or not resolved.config.export.formats:
        return ended
    _let_go_of_memory()
    exported = _export_trained(folder, resolved.config.export, recorder, control)
    if exported:
        log.info("exported to %s", exported)
    return ended


def _export_trained(
    folder: RunFolder, wish: ExportSection, recorder: Recorder, control: Control
) -> str:
    """Export in a worker of its own, and say what becomes of it in the run's own words. Returns the
    export's folder, empty if the user ended it."""
    recorder.record(Stage(stage="exporting", detail=", ".join(wish.formats)))
    place = launch_export(ExportRequest(**wish.model_dump(), source=str(folder.path)))

    def pass_on(event: Event) -> None:
        if isinstance(event, Exported):
            path = str(Path("exports", place.path.name, event.path))
            recorder.record(event.model_copy(update={"n": 0, "path": path}))
        elif isinstance(event, Stage):
            recorder.record(Stage(stage="exporting", detail=f"{event.stage} {event.detail}"))
        elif isinstance(event, Progress | Log | Notice):
            recorder.record(event.model_copy(update={"n": 0}))

    def stop() -> CommandName | None:
        return ("abort" if control.aborting else "stop") if control.stopping else None

    control.before_exit.append(lambda: _abort(place))
    ended = wait_for_end(place, pass_on, stop)
    control.before_exit.clear()
    if isinstance(ended, Failed):
        raise BackpropError(
            f"trained and saved, and the export failed: {ended.message}",
            hint=f"{ended.hint} What was trained is in {folder.path}.".strip(),
        )
    return str(place.path) if ended.outcome == "finished" else ""


def _abort(place: RunFolder) -> None:
    client = RunClient(place, "run")
    client.wait_connected(ABORT_SECONDS)
    client.send("abort")
    client.close()


def _let_go_of_memory() -> None:
    """The trained model is on disk, and the export needs the room."""
    import gc
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
