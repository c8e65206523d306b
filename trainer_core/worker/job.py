"""The job process: does the work of one run and says what happens.

Light at import, because the supervisor imports it too; the work itself is imported when it starts.
"""

import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from filelock import FileLock

from trainer_core.errors import (
    EXIT_FINISHED,
    EXIT_STOPPED,
    BackpropError,
    LockedError,
    StoppedError,
)
from trainer_core.files import remove_folder
from trainer_core.runs.control import Control, Question
from trainer_core.runs.events import Event, Failed, Finished, Stage, encode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.status import read_status, take_lock
from trainer_core.worker import platform
from trainer_core.worker.failure import failed
from trainer_core.worker.log_events import events_from_logging
from trainer_core.worker.outbox import Outbox
from trainer_core.worker.processes import show_stacks_when_asked
from trainer_core.worker.protocol import Ask, Command, from_client
from trainer_core.worker.reporting import report_on
from trainer_core.worker.sampling import sample_hardware
from trainer_core.worker.signals import follow_stop, ignore_terminal
from trainer_core.worker.status_keeper import StatusKeeper
from trainer_core.worker.waiting import wait_for_room

# What a job does: given its folder, its recorder and the user's wishes, it returns how it ended.
Work = Callable[[RunFolder, Recorder, Control], Finished]
# Jobs that only answer their clients: they end with the last of them, and their folder with them.
TEMPORARY = frozenset({"preview", "chat"})


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
    wishes = _Wishes(supervisor, folder, recorder, control, outbox, outcome, kind)
    threading.Thread(target=wishes.follow, name="wishes", daemon=True).start()
    follow_stop(lambda: wishes.obey(Command(command="stop", reason="SIGTERM")))
    control.end_now = wishes.give_up
    perform(folder, recorder, control, _work_of(kind))
    wishes.end(outcome[0], flush=5.0)


def perform(
    folder: RunFolder, recorder: Recorder, control: Control, work: Work
) -> Finished | Failed:
    """Do `work`, with the machine sampled and our log recorded; its end is the last event."""
    started = time.monotonic()
    recorder.record(Stage(stage="starting"))
    with events_from_logging(recorder), sample_hardware(folder, recorder, control) as look_at_gpus:
        try:
            ended: Finished | Failed = work(folder, recorder, control)
        except StoppedError as error:
            ended = _stopped(str(error), control, started)
        except Exception as error:
            if control.stopping and not control.holds_work:  # what breaks then broke by the stop
                ended = _stopped("stopped before training began", control, started)
            else:
                ended = _broken(error, folder, control, look_at_gpus)
        except KeyboardInterrupt:  # only where a person's own program trains in its process
            message = "interrupted; the last checkpoint stands"
            recorder.record(_stopped(message, control, started))
            raise
    if control.failure is not None and not _is_done(ended):
        ended = failed(control.failure, folder, control.step)
    for settle in control.before_end:
        settle(ended)
    recorder.record(ended)
    return ended


def _is_done(ended: Finished | Failed) -> bool:
    return isinstance(ended, Finished) and ended.outcome == "finished"


def _stopped(message: str, control: Control, started: float) -> Finished:
    elapsed = time.monotonic() - started
    return Finished(outcome="stopped", step=control.step, elapsed=elapsed, message=message)


def _broken(
    error: Exception, folder: RunFolder, control: Control, look_at_gpus: Callable[[], None]
) -> Failed:
    if not isinstance(error, BackpropError):
        traceback.print_exc()
        look_at_gpus()  # that may be why
    return failed(error, folder, control.step)


def _work_of(kind: str) -> Work:
    """The work behind a kind of job; nothing is imported before the job needs it."""

    def train(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
        wait_for_room(folder, recorder, control)
        from trainer_core.worker.training import train_and_export

        return train_and_export(folder, recorder, control)

    def export(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
        from trainer_core.export.export import export

        return export(folder, recorder, control)

    def preview(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
        from trainer_core.tokens.preview import preview

        return preview(folder, recorder, control)

    def predict(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
        from trainer_core.answering.predict import predict

        return predict(folder, recorder, control)

    def chat(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
        from trainer_core.answering.chat import chat

        return chat(folder, recorder, control)

    works: dict[str, Work] = {
        "train": train,
        "export": export,
        "predict": predict,
        "preview": preview,
        "chat": chat,
    }
    return works[kind]


def _prepare_process() -> None:
    """Before any library is imported: no terminal signals, no telemetry, a known order of GPUs."""
    ignore_terminal()
    faulthandler.enable()
    show_stacks_when_asked()
    # NVML's order, so that the GPU shown as 1 is the GPU used as 1.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    # How often torch's threads look before they sleep where one waits for another. libgomp lets
    # them look for ever, and beside another program on one of two cores a step takes forty times as
    # long (benchmarks/busy_core.py); so many make no difference where they are alone.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")


class _Wishes:
    """Takes the user's commands from the supervisor, until it or the job is gone."""

    def __init__(
        self,
        supervisor: "Connection",
        folder: RunFolder,
        recorder: Recorder,
        control: Control,
        outbox: Outbox,
        outcome: list[Finished | Failed],
        kind: str,
    ) -> None:
        self._kind = kind
        self._supervisor = supervisor
        self._folder = folder
        self._recorder = recorder
        self._control = control
        self._outbox = outbox
        self._outcome = outcome
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
        if self._kind in TEMPORARY:
            remove_folder(self._folder.path)
            os._exit(EXIT_STOPPED)
        try:  # the supervisor's lock went with it; now it is ours
            self._lock = take_lock(self._folder)
        except LockedError:
            os._exit(EXIT_STOPPED)  # someone else has the run: not another byte from here
        status = read_status(self._folder)
        if status is not None:
            platform.forget_address(status.key_file)
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
        self.end(_stopped(message, control, self._started))

    def give_up(self) -> None:
        """End here and now, because the engine does not: a job whose GPU is gone hangs."""
        failure = self._control.failure
        if failure is not None:
            self.end(failed(failure, self._folder, self._control.step))

    def end(self, ended: Finished | Failed, flush: float = 2.0) -> NoReturn:
        """End the process with its last event, unless it has said another already."""
        self._recorder.record(ended)
        ended = self._outcome[0]
        if self.orphaned:
            _write_own_status(self._folder, ended)
            if self._kind == "train":
                report_on(self._folder)
        self._outbox.close(flush)
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: libraries leave threads and atexit hooks behind that can hang a job's end.
        os._exit(_exit_status(ended))


def _exit_status(ended: Finished | Failed) -> int:
    if isinstance(ended, Failed):
        return ended.exit_status
    return EXIT_STOPPED if ended.outcome == "stopped" else EXIT_FINISHED


def _write_own_status(folder: RunFolder, ended: Finished | Failed) -> None:
    status = read_status(folder)
    if status is not None:
        keeper = StatusKeeper(folder, status)
        keeper.see(ended)
        keeper.write()
