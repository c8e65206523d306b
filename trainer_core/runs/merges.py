"""The merges of a multi-run as they stand on disk, and taking the last one back."""

from trainer_core.errors import LockedError, UserError
from trainer_core.files import copy_folder, write_atomically
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.multi_run_events import Undone
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.status import take_lock

_UNDONE = "undone"


def merged_runs(folder: RunFolder) -> list[int]:
    """The numbers, rising, of the runs whose merge stands."""
    found = []
    for path in folder.path.glob("run-*"):
        number = path.name.removeprefix("run-")
        part = RunFolder(path)
        if (
            number.isdigit()
            and part.merged.is_dir()
            and (path / "done.json").is_file()
            and not (path / _UNDONE).exists()
        ):
            found.append(int(number))
    return sorted(found)


def undo_last_merge(folder: RunFolder) -> int:
    """Let the adapter be as it was before the last merge, and return the number of the run whose
    merge that was. What it trained stays in its folder.

    Raises UserError where there is nothing to undo, or the run goes on.
    """
    runs = merged_runs(folder)
    if not runs:
        raise UserError(f"{folder.path} has no merge to undo", hint="Name a multi-run.")
    if len(runs) == 1:
        raise UserError(
            f"only run {runs[0]} is merged in {folder.path}, and nothing was before it",
            hint="A training without it is a new run.",
        )
    try:
        lock = take_lock(folder)
    except LockedError:
        raise UserError(
            f"the run in {folder.path} goes on", hint=f"End it first: backprop stop {folder.path}"
        ) from None
    try:
        last, before = runs[-1], runs[-2]
        method = "full" if (folder.path / "model").is_dir() else "lora"
        copy_folder(folder.part(before).merged, folder.trained(method) / "last")
        write_atomically(folder.part(last).path / _UNDONE, b"", durable=True)
        recorder = Recorder(folder, lambda _: None)
        try:
            recorder.record(Undone(run=last))
        finally:
            recorder.close()
    finally:
        lock.release()
    return last
