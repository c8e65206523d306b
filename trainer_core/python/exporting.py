"""An export of what was trained, in a process of its own, followed until it ends."""

from pathlib import Path

from trainer_core.config.export_section import ExportRequest
from trainer_core.python.callbacks import OnEvent
from trainer_core.python.in_process import succeeded
from trainer_core.python.results import ExportResult
from trainer_core.runs.events import Event, Exported
from trainer_core.worker.following import wait_for_end
from trainer_core.worker.launching import launch_export


def export_there(
    request: ExportRequest, output: str | Path | None, on_event: OnEvent, *, force: bool
) -> ExportResult:
    """What was written, once the export has ended. Raises UserError for what the caller can mend,
    BackpropError if an export does not speak like the trained model."""
    place = Path(output) if output is not None else None
    folder = launch_export(request, place, force=force)
    made: list[Exported] = []

    def tell(event: Event) -> None:
        if isinstance(event, Exported):
            made.append(event)
        on_event(event)

    ended = succeeded(wait_for_end(folder, tell))
    return ExportResult(folder.path, made, ended.commands)
