"""`backprop stop`: end a run from any terminal."""

from typing import Annotated

import typer

from trainer_core.errors import BackpropError, UserError
from trainer_core.runs.events import Failed, Finished
from trainer_core.runs.registry import find_run
from trainer_core.runs.status import ENDED, is_alive
from trainer_core.runs.view import RunView
from trainer_core.text import one_line
from trainer_core.worker.client import RunClient

CONNECT_SECONDS = 15.0


def stop(
    run: Annotated[str, typer.Argument(help="An id, the start of one, a path or 'last'.")],
    abort: Annotated[bool, typer.Option("--abort", help="End at once, without saving.")] = False,
) -> None:
    """Stop a run; it saves first. Waits until it has ended."""
    entry = find_run(run)
    if entry.status.state in ENDED or not is_alive(entry.folder):
        raise UserError(f"{entry.id} is not running (it is {entry.state})")
    client, view = RunClient(entry.folder, "stop"), RunView()
    try:
        if not client.wait_connected(CONNECT_SECONDS):
            raise BackpropError(
                f"the worker of {entry.id} does not answer",
                hint=f"Its process is {entry.status.pid}; its log {entry.folder.worker_log}.",
            )
        client.send("abort" if abort else "stop", "backprop stop")
        for event in client.events():
            if event is not None:
                view.apply(event)
    finally:
        client.close()
    if isinstance(view.outcome, Finished):
        print(f"{entry.id}: {one_line(view.outcome.message) or view.outcome.outcome}")
    elif isinstance(view.outcome, Failed):
        raise BackpropError(view.outcome.message, hint=view.outcome.hint)
