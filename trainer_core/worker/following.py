"""Waiting for a job to end, for a program that has nothing else to do."""

from collections.abc import Callable

from trainer_core.errors import BackpropError
from trainer_core.runs.control import CommandName
from trainer_core.runs.events import Event, Failed, Finished
from trainer_core.runs.folder import RunFolder
from trainer_core.worker.client import RunClient

POLL_SECONDS = 0.5


def wait_for_end(
    folder: RunFolder,
    tell: Callable[[Event], None],
    wish: Callable[[], CommandName | None] = lambda: None,
) -> Finished | Failed:
    """Every event to `tell`, until the job has ended; returns how. `wish` is asked again and again
    whether the job shall do something; each thing that it says is sent once.

    Raises BackpropError if the worker is gone without a word. Ctrl+C aborts the job.
    """
    client, sent = RunClient(folder, "waiting"), None
    try:
        for event in client.events(timeout=POLL_SECONDS):
            command = wish()
            if command is not None and command != sent and client.send(command):
                sent = command
            if event is None:
                continue
            tell(event)
            if isinstance(event, Finished | Failed):
                return event
    except KeyboardInterrupt:
        client.send("abort", "interrupted")
        raise
    finally:
        client.close()
    raise BackpropError(f"the worker is gone without a word; its output: {folder.worker_log}")
