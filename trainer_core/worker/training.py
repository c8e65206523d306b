"""A training from the first step to the last export."""

import logging
from pathlib import Path

from trainer_core.config.export_section import ExportRequest, ExportSection
from trainer_core.engine.train import train
from trainer_core.errors import BackpropError
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.runs.control import Control
from trainer_core.runs.events import Exported, Failed, Finished, Log, Notice, Progress, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.worker.client import RunClient
from trainer_core.worker.launching import launch_export

log = logging.getLogger(__name__)


def train_and_export(
    folder: RunFolder, recorder: Recorder, control: Control, *, own_process: bool = True
) -> Finished:
    """Train the run in `folder`, and make of it what its config asks for. Raises as engine's
    `train`, and BackpropError if an export fails; what was trained is saved by then."""
    ended = train(folder, recorder, control, own_process=own_process)
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
    """Make what a run's config asks for of what it has trained, in a worker of its own, and say
    what becomes of it in the run's own words. Returns the export's folder, empty if the user
    ended it. Raises BackpropError if it fails."""
    recorder.record(Stage(stage="exporting", detail=", ".join(wish.formats)))
    request = ExportRequest(**wish.model_dump(), source=str(folder.path))
    place = launch_export(request)
    client = RunClient(place, "run")
    asked = False
    try:
        for event in client.events(timeout=0.5):
            if control.stopping and not asked:
                asked = client.send("abort" if control.aborting else "stop", control.reason)
            if isinstance(event, Exported):
                made = event.model_copy(
                    update={"n": 0, "path": str(Path("exports", place.path.name, event.path))}
                )
                recorder.record(made)
            elif isinstance(event, Stage):
                recorder.record(Stage(stage="exporting", detail=f"{event.stage} {event.detail}"))
            elif isinstance(event, Progress | Log | Notice):
                recorder.record(event.model_copy(update={"n": 0}))
            elif isinstance(event, Failed):
                raise BackpropError(
                    f"trained and saved, and the export failed: {event.message}",
                    hint=f"{event.hint} What was trained is in {folder.path}.".strip(),
                )
            elif isinstance(event, Finished):
                return str(place.path) if event.outcome == "finished" else ""
    finally:
        client.close()
    raise BackpropError(f"the export's worker is gone; its output is in {place.worker_log}")


def _let_go_of_memory() -> None:
    """The trained model is on disk, and the export needs the room."""
    import gc
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
