"""The supervisor: light, without torch. It holds the lock and the listener, spawns the job, passes
events and commands on, and when the job dies it finds out why and says so.
"""

import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

from trainer_core.errors import EXIT_FAILED, EXIT_STOPPED, UserError
from trainer_core.files import remove_folder
from trainer_core.runs.events import Event, Failed, Finished, decode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder, last_number
from trainer_core.runs.status import new_status, read_status, take_lock
from trainer_core.worker import death, job
from trainer_core.worker.protocol import Ask, Command, pack
from trainer_core.worker.server import RunServer
from trainer_core.worker.status_keeper import StatusKeeper

# How long a job that was told to abort may take before it is killed.
ABORT_SECONDS = 3.0
# How long a job that only answers its clients stays when the last of them is gone.
LINGER_SECONDS = 10.0
# How long it may take to end by itself: it throws away what is half made.
ENDING_SECONDS = 20.0


def main(arguments: Sequence[str]) -> int:
    """Run the job `arguments[0]` in the folder `arguments[1]`; returns the exit status."""
    kind, folder = arguments[0], RunFolder(Path(arguments[1]))
    try:
        lock = take_lock(folder)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    try:
        status = Supervisor(kind, folder).run()
    finally:
        lock.release()
    if kind in job.TEMPORARY and status != EXIT_FAILED:  # then its log is still wanted
        remove_folder(folder.path)
    return status


class Supervisor:
    """One job from spawn to end."""

    def __init__(self, kind: str, folder: RunFolder) -> None:
        self._folder = folder
        self._kind = kind
        before = read_status(folder)
        status = new_status(
            run=before.run if before else folder.path.name,
            job=kind,
            model=before.model if before else "",
            data=before.data if before else "",
        )
        if before:
            status.created, status.step = before.created or status.created, before.step
            status.total_steps = before.total_steps
        self._keeper = StatusKeeper(folder, status)
        self._server = RunServer(status.run, kind, self._wish, last_number(folder.events))
        self._note_address()
        self._outcome: Finished | Failed | None = None
        self._abort_at: float | None = None
        self._stop_asked = False
        self._sending = threading.Lock()
        self._oom_kills = death.oom_kills()
        self._to_job, job_end = multiprocessing.get_context("spawn").Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=job.main, args=(kind, str(folder.path), job_end), name=f"backprop {kind}"
        )
        self._job_end = job_end

    def run(self) -> int:
        """Spawn the job and stay until it has ended; returns the exit status."""
        for name in ("SIGINT", "SIGHUP"):  # ours alone is SIGTERM; a closed terminal is no reason
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
        signal.signal(
            signal.SIGTERM, lambda *_: self._wish(Command(command="stop", reason="SIGTERM"))
        )
        self._process.start()
        self._job_end.close()
        while self._process.is_alive():
            self._turn()
        self._drain()
        if self._outcome is None:
            self._explain_death()
        remove_folder(self._folder.half_made)  # of a job that was killed
        self._keeper.write()
        self._server.close()
        return self._keeper.status.exit_status or 0

    def _turn(self) -> None:
        for ready in wait([self._to_job, self._process.sentinel], timeout=0.5):
            if ready is self._to_job and not self._receive():
                self._process.join(1.0)  # the pipe is closed: the job is ending
        if self._server.ensure_reachable():
            self._note_address()
        self._keeper.write_if_due()
        alone = self._server.seconds_alone()
        if self._kind in job.TEMPORARY and alone > LINGER_SECONDS:
            ending = "stop" if alone < LINGER_SECONDS + ENDING_SECONDS else "abort"
            self._wish(Command(command=ending, reason="nobody is watching any more"))
        if self._abort_at is not None and time.monotonic() > self._abort_at:
            self._process.kill()

    def _receive(self) -> bool:
        try:
            event = decode(self._to_job.recv_bytes())
        except (EOFError, OSError):
            return False
        except ValueError as error:
            print(f"supervisor: not an event: {error}", file=sys.stderr)
            return True
        self._pass_on(event)
        return True

    def _drain(self) -> None:
        with suppress(OSError, EOFError):
            while self._to_job.poll(0):
                if not self._receive():
                    return

    def _pass_on(self, event: Event) -> None:
        if isinstance(event, Finished | Failed):
            self._outcome = event
        self._keeper.see(event)
        self._server.publish(event)

    def _wish(self, wish: Command | Ask) -> None:
        """From any client's thread, or the signal handler."""
        if isinstance(wish, Command):
            if wish.command == "abort" and self._abort_at is None:
                self._abort_at = time.monotonic() + ABORT_SECONDS
            self._stop_asked |= wish.command in {"stop", "abort"}
        threading.Thread(target=self._send, args=[wish], daemon=True).start()

    def _send(self, wish: Command | Ask) -> None:
        with self._sending, suppress(OSError, ValueError):
            self._to_job.send_bytes(pack(wish))

    def _explain_death(self) -> None:
        """The job ended without a word: write its last event for it."""
        code = self._process.exitcode
        recorder = Recorder(self._folder, self._pass_on)
        step = self._keeper.status.step
        started = self._keeper.status.created
        if self._abort_at is not None or (self._stop_asked and code == EXIT_STOPPED):
            elapsed = time.time() - started
            recorder.record(
                Finished(
                    outcome="stopped", step=step, elapsed=elapsed, message="aborted, not saved"
                )
            )
        else:
            oom = death.oom_kills() > self._oom_kills
            failed = death.explain(code, oom, step, self._folder)
            if self._kind != "train":  # the others have nothing to resume
                failed.hint = f"Its output: {self._folder.worker_log}."
            recorder.record(failed)
        recorder.close()

    def _note_address(self) -> None:
        self._keeper.status.address = self._server.address
        self._keeper.status.key_file = self._server.key_file
        self._keeper.write()
