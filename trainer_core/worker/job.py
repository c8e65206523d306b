"""The job process: does the work of one run and says what happens.

Light at import, because the supervisor imports it too; the work itself is imported when it starts.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from filelock import FileLock

from trainer_core.errors import EXIT_STOPPED, BackpropError, LockedError, StoppedError, UserError
from trainer_core.files import remove_folder
from trainer_core.runs.control import Control, Question
from trainer_core.runs.events import Event, Failed, Finished, Stage, encode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.status import read_status, take_lock
from trainer_core.worker.log_events import events_from_logging
from trainer_core.worker.outbox import Outbox
from trainer_core.worker.protocol import Ask, Command, from_client
from trainer_core.worker.sampling import sample_hardware
from trainer_core.worker.status_keeper import StatusKeeper

# What a job does: given its folder, its recorder and the user's wishes, it returns how it ended.
Work = Callable[[RunFolder, Recorder, Control], Finished]
# Jobs that only answer their clients: they end with the last of them, and their folder with them.
TEMPORARY = frozenset({"preview"})


def main(kind: str, path: str, supervisor: "Connection") -> None:
    """The job process, from spawn to exit."""
    _prepare_process()
    folder, control = RunFolder(Path(path)), Control()
    outbox = Outbox(supervisor)
    outcome: list[Finished | Failed] = []

    def pass_on(event: Event) -> None:
        if isinstance(event, Finished | Failed):
            outcome.append(event)
        outbox.put(encode(event))

    recorder = Recorder(folder, pass_on)
    wishes = _Wishes(supervisor, folder, recorder, control, outbox, kind in TEMPORARY)
    threading.Thread(target=wishes.follow, name="wishes", daemon=True).start()
    # In a thread, because a signal handler may not wait for the recorder.
    sigterm = Command(command="stop", reason="SIGTERM")
    signal.signal(
        signal.SIGTERM,
        lambda *_: threading.Thread(target=wishes.obey, args=[sigterm], daemon=True).start(),
    )
    perform(folder, recorder, control, _work_of(kind))
    ended = outcome[-1]
    if wishes.orphaned:
        _write_own_status(folder, ended)
    outbox.close(flush=5.0)
    recorder.close()
    status = ended.exit_status if isinstance(ended, Failed) else 0
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: libraries leave threads and atexit hooks behind that can hang a finished job.
    os._exit(EXIT_STOPPED if isinstance(ended, Finished) and ended.outcome == "stopped" else status)


def perform(
    folder: RunFolder, recorder: Recorder, control: Control, work: Work
) -> Finished | Failed:
    """Do `work`, with the machine sampled and our log recorded; its end is the last event."""
    started = time.monotonic()
    recorder.record(Stage(stage="starting"))
    with events_from_logging(recorder), sample_hardware(folder, recorder):
        try:
            ended: Finished | Failed = work(folder, recorder, control)
        except StoppedError as error:
            elapsed = time.monotonic() - started
            ended = Finished(outcome="stopped", step=0, elapsed=elapsed, message=str(error))
        except BackpropError as error:
            message = f"{error.where}: {error.message}" if error.where else error.message
            cause = "user" if isinstance(error, UserError) else "error"
            ended = Failed(
                message=message, hint=error.hint, cause=cause, exit_status=error.exit_status
            )
        except Exception as error:
            traceback.print_exc()
            ended = _bug(error, folder)
        except KeyboardInterrupt:  # only where a person's own program trains in its process
            message = "interrupted; the last checkpoint stands"
            elapsed = time.monotonic() - started
            recorder.record(
                Finished(outcome="stopped", step=control.step, elapsed=elapsed, message=message)
            )
            raise
    recorder.record(ended)
    return ended


def _bug(error: Exception, folder: RunFolder) -> Failed:
    kind = type(error).__name__
    memory = isinstance(error, MemoryError) or kind == "OutOfMemoryError"
    if memory:
        return Failed(
            message="the job ran out of memory",
            hint="Lower training.batch_size or model.max_length.",
            cause="out-of-memory",
        )
    reason = " ".join(str(error).split())[:300]
    return Failed(message=f"{kind}: {reason}", hint=f"The traceback is in {folder.worker_log}.")


def _work_of(kind: str) -> Work:
    """The work behind a kind of job; nothing is imported before the job needs it."""

    def train(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
        from trainer_core.worker.training import train_and_export

        return train_and_export(folder, recorder, control)

    def export(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
        from trainer_core.export.export import export

        return export(folder, recorder, control)

    def preview(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
        from trainer_core.tokens.preview import preview

        return preview(folder, recorder, control)

    works: dict[str, Work] = {"train": train, "export": export, "preview": preview}
    return works[kind]


def _prepare_process() -> None:
    """Before any library is imported: no terminal signals, no telemetry, a known order of GPUs."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # NVML's order, so that the GPU shown as 1 is the GPU used as 1.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")


class _Wishes:
    """Takes the user's commands from the supervisor, until it or the job is gone."""

    def __init__(
        self,
        supervisor: "Connection",
        folder: RunFolder,
        recorder: Recorder,
        control: Control,
        outbox: Outbox,
        temporary: bool,
    ) -> None:
        self._temporary = temporary
        self._supervisor = supervisor
        self._folder = folder
        self._recorder = recorder
        self._control = control
        self._outbox = outbox
        self._started = time.monotonic()
        self._lock: FileLock | None = None
        self.orphaned = False

    def follow(self) -> None:
        """Obey until the pipe closes, which means that the supervisor died: save and end."""
        while True:
            try:
                message = from_client(self._supervisor.recv_bytes())
            except (EOFError, OSError, ValueError):
                break
            if isinstance(message, Command):
                self.obey(message)
            elif isinstance(message, Ask):
                self._control.put_question(Question(message.id, message.question))
        self.orphaned = True
        if self._temporary:
            remove_folder(self._folder.path)
            os._exit(EXIT_STOPPED)
        try:  # the supervisor's lock went with it; now it is ours
            self._lock = take_lock(self._folder)
        except LockedError:
            os._exit(EXIT_STOPPED)  # someone else has the run: not another byte from here
        self.obey(Command(command="stop", reason="the supervisor died"))

    def obey(self, command: Command) -> None:
        """Pass a wish to the engine; end here and now where there is nothing to save."""
        control = self._control
        control.ask(command.command, command.reason)
        if not control.stopping or (control.holds_work and not control.aborting):
            return
        for end in control.before_exit:
            end()
        message = "aborted, not saved" if control.holds_work else "stopped before training began"
        elapsed = time.monotonic() - self._started
        ended = Finished(outcome="stopped", step=control.step, elapsed=elapsed, message=message)
        self._recorder.record(ended)
        if self.orphaned:
            _write_own_status(self._folder, ended)
        self._outbox.close(flush=2.0)
        os._exit(EXIT_STOPPED)


def _write_own_status(folder: RunFolder, ended: Finished | Failed) -> None:
    status = read_status(folder)
    if status is not None:
        keeper = StatusKeeper(folder, status)
        keeper.see(ended)
        keeper.write()
