"""A training in the caller's process: the same engine, recorder, run folder and listener as in a
worker's. No signal handler is installed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from trainer_core.config.load import LoadedConfig, dump_config
from trainer_core.config.schema import RunConfig
from trainer_core.errors import BackpropError, UserError
from trainer_core.planning.preflight import preflight
from trainer_core.runs.control import Control
from trainer_core.runs.events import Event, Failed, Finished
from trainer_core.runs.folder import RunFolder, run_name
from trainer_core.runs.recorder import Recorder, last_number
from trainer_core.runs.registry import new_run
from trainer_core.runs.status import Status, new_status, read_status, take_lock
from trainer_core.tokens.tokenizer import named_template
from trainer_core.worker.job import perform
from trainer_core.worker.protocol import Ask, Command
from trainer_core.worker.server import RunServer
from trainer_core.worker.status_keeper import StatusKeeper


def train_here(
    run_id: str, folder: RunFolder, config: RunConfig, on_event: Callable[[Event], None]
) -> Finished:
    """Train the run in `folder`, or go on with it. Returns when it has ended.

    Raises UserError for what the caller can mend, LockedError while another process has the run,
    BackpropError if the run failed; a KeyboardInterrupt passes, and the last checkpoint stands.
    """
    from trainer_core.worker.training import train_and_export

    lock, control = take_lock(folder), Control()
    try:
        status = _status(run_id, folder, config)

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
            return succeeded(perform(folder, recorder, control, work))
        finally:
            keeper.write()
            recorder.close()
            server.close()
    finally:
        lock.release()


def require_ready(loaded: LoadedConfig) -> None:
    """Look for what a run would fail of in its first second. Raises UserError."""
    if loaded.config.model.template is not None:
        named_template(loaded.config.model.template)
    preflight(loaded)


def new_run_of(loaded: LoadedConfig, output: str | Path | None) -> tuple[str, RunFolder]:
    """The id and the folder of a new run: `output`, else as the config says, else one of its own
    under ./runs. Raises UserError if it cannot be made."""
    config = loaded.config
    named = output if output is not None else config.run.folder
    name = config.run.name or run_name(config.model.base)
    return new_run(name, Path(named) if named is not None else None, dump_config(loaded))


def succeeded(ended: Finished | Failed) -> Finished:
    """The end of a job that went well. Raises what else it was."""
    if isinstance(ended, Failed):
        error = UserError if ended.cause == "user" else BackpropError
        raise error(ended.message, hint=ended.hint)
    return ended


def _status(run_id: str, folder: RunFolder, config: RunConfig) -> Status:
    """Of the run in this process; one that is gone on with was created when it was."""
    status = new_status(run_id, "train", config.model.base, config.data.name)
    before = read_status(folder)
    if before is not None:
        status.created, status.step = before.created or status.created, before.step
        status.total_steps = before.total_steps
    return status
