"""`backprop track`: tell trackers of a run from its folder, afterwards."""

from importlib.util import find_spec
from typing import Annotated

import typer
from filelock import Timeout

from trainer_core.config.schema import TRACKERS
from trainer_core.errors import EXIT_FINISHED, BackpropError, LockedError, UserError
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import find_run
from trainer_core.text import one_line
from trainer_core.tracking.told import is_behind, place_of, read_told, telling_lock
from trainer_core.worker.trackers import start_telling, tell_the_end


def track(
    run: Annotated[str, typer.Argument(help="An id, the start of one, a path or 'last'.")] = "last",
    to: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(TRACKERS)}; with commas. What its config names if absent."),
    ] = None,
) -> None:
    """Send what a run's trackers missed; or all of a run to one that it did not name."""
    entry = find_run(run)
    resolved = read_resolved(entry.folder.resolved)
    if resolved is None:
        raise UserError(f"{entry.id} was ended before it was planned, so there is nothing to send")
    names = to.replace(" ", "").split(",") if to is not None else resolved.config.tracking.to
    if not names:
        raise UserError(f"the config of {entry.id} names no tracker", hint="Name it: --to wandb")
    for name in names:
        _require(name)
    for name in names:
        print(f"{name}: {_send(entry.folder, name)}", flush=True)


def _require(name: str) -> None:
    if name not in TRACKERS:
        raise UserError(f"there is no tracker {name!r}", hint=f"Trackers: {', '.join(TRACKERS)}.")
    if find_spec(name) is None:
        raise UserError(f"{name} is not installed", hint=f"pip install {name}")


def _send(folder: RunFolder, name: str) -> str:
    """Returns what there was to do. Raises LockedError while another process does it, BackpropError
    where the tracker failed."""
    try:
        with telling_lock(folder, name).acquire(timeout=0):
            pass
    except Timeout:
        raise LockedError(
            f"{name} is being told of it just now", hint="That ends by itself."
        ) from None
    before = read_told(folder, name)
    if before.ended and not is_behind(folder, before):
        return f"has all of it, up to step {before.step:,}"
    process = start_telling(folder, name)
    tell_the_end(process, None)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        raise
    after = read_told(folder, name)
    if status != EXIT_FINISHED:
        problem = after.problem or f"its process ended with status {status}"
        raise BackpropError(
            f"{name}: {one_line(problem)}",
            hint=f"{place_of(folder, name, 'log')} has the details.",
        )
    first = before.step + 1
    return (
        f"told of steps {first:,} to {after.step:,}" if first <= after.step else "told of the end"
    )
