"""The merges of a multi-run as they stand on disk, and taking the last one back."""

from trainer_core.errors import LockedError, UserError
from trainer_core.files import copy_folder, write_atomically
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.multi_run_events import Undone
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.status import take_lock
from trainer_core.runs.trained import ADAPTER_CONFIG, UNDONE, general_loss, stands


def merged_runs(folder: RunFolder) -> list[int]:
    """The numbers, rising, of the runs whose merge stands."""
    found = []
    for path in folder.path.glob("run-*"):
        number = path.name.removeprefix("run-")
        if number.isdigit() and stands(RunFolder(path)):
            found.append(int(number))
    return sorted(found)


def ship(folder: RunFolder) -> None:
    """Let what the multi-run in `folder` has to give be what its standing merges made: `last` the
    newest, `best` the one with the lowest loss on the general slice, where that was measured."""
    runs = merged_runs(folder)
    if not runs:
        return
    adapters = (folder.part(runs[-1]).merged / ADAPTER_CONFIG).is_file()
    trained = folder.trained("lora" if adapters else "full")
    copy_folder(folder.part(runs[-1]).merged, trained / "last")
    losses = {run: general_loss(folder.part(run)) for run in runs}
    known = {run: loss for run, loss in losses.items() if loss is not None}
    if known:
        best = min(known, key=lambda run: known[run])
        copy_folder(folder.part(best).merged, trained / "best")


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
        last = runs[-1]
        write_atomically(folder.part(last).path / UNDONE, b"", durable=True)
        ship(folder)
        recorder = Recorder(folder, lambda _: None)
        try:
            recorder.record(Undone(run=last))
        finally:
            recorder.close()
    finally:
        lock.release()
    return last
