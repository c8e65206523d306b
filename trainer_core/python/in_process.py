"""A training in the caller's process: the same engine, recorder, run folder and listener as in a
worker's. No signal handler is installed."""

from collections.abc import Callable
from functools import partial

from trainer_core.errors import BackpropError, UserError
from trainer_core.python.quiet import no_other_bars
from trainer_core.python.starting import StartedRun
from trainer_core.runs.control import Control
from trainer_core.runs.events import Event, Failed, Finished
from trainer_core.runs.recorder import Recorder, last_number
from trainer_core.runs.status import Status, new_status, read_status, take_lock
from trainer_core.worker.job import perform
from trainer_core.worker.protocol import Ask, Command
from trainer_core.worker.reporting import report_on
from trainer_core.worker.server import RunServer
from trainer_core.worker.status_keeper import StatusKeeper


def train_here(run: StartedRun, on_event: Callable[[Event], None]) -> Finished:
    """Train a run, or go on with it. Returns when it has ended.

    Raises UserError for what the caller can mend, LockedError while another process has the run,
    BackpropError if the run failed; a KeyboardInterrupt passes, and the last checkpoint stands.
    """
    from trainer_core.worker.training import train_and_export

    folder, control = run.folder, Control()
    lock = take_lock(folder)
    try:
        status = _status(run)

        def obey(wish: Command | Ask) -> None:
            if isinstance(wish, Command):  # a training answers no questions
                control.ask(wish.command, wish.reason)

        server = RunServer(status.run, "train", obey, last_number(folder.events))
        status.address, status.key_file = server.address, server.key_file
        keeper = StatusKeeper(folder, status)
        keeper.write()

        def pass_on(event: Event) -> None:
            keeper.see(event)
            keeper.write_if_due()
            server.publish(event)
            on_event(event)

        recorder = Recorder(folder, pass_on)
        try:
            work = partial(train_and_export, own_process=False)
            with no_other_bars():
                return succeeded(perform(folder, recorder, control, work))
        finally:
            keeper.write()
            recorder.close()
            server.close()
            report_on(folder)
    finally:
        lock.release()


def succeeded(ended: Finished | Failed) -> Finished:
    """The end of a job that went well. Raises what else it was."""
    if isinstance(ended, Failed):
        error = UserError if ended.cause == "user" else BackpropError
        raise error(ended.message, hint=ended.hint)
    return ended


def _status(run: StartedRun) -> Status:
    """Of the run in this process; one that is gone on with was created when it was."""
    status = new_status(run.id, "train", run.config.model.base, run.config.data.name)
    before = read_status(run.folder)
    if before is not None:
        status.created, status.step = before.created or status.created, before.step
        status.total_steps = before.total_steps
    return status
