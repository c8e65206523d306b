"""The supervisor: light, without torch. It holds the lock and the listener, spawns the job, passes
events and commands on, and when the job dies it finds out why and says so.
"""

import multiprocessing
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from signal import SIGTERM

from trainer_core.errors import EXIT_FAILED, EXIT_STOPPED, UserError
from trainer_core.files import remove_folder, size_of
from trainer_core.runs.events import Event, Failed, Finished, State, decode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.going_on import way_on
from trainer_core.runs.jsonl import tail_lines
from trainer_core.runs.recorder import Recorder, last_number
from trainer_core.runs.status import new_status, read_status, take_lock
from trainer_core.worker import job, platform, processes
from trainer_core.worker.black_box import tail_of_log, write_black_box
from trainer_core.worker.death import Death, explain
from trainer_core.worker.memory_groups import killed_since, memory_groups
from trainer_core.worker.protocol import Ask, Command, pack
from trainer_core.worker.pulse import Pulse, stuck_seconds
from trainer_core.worker.reporting import report_on
from trainer_core.worker.server import RunServer
from trainer_core.worker.signals import follow_stop, held_back, hold_back, ignore_terminal
from trainer_core.worker.status_keeper import StatusKeeper

# The end of events.jsonl: what can have been written while nobody listened.
TAIL_BYTES = 1 << 18
# How often the job is looked at.
LOOK_SECONDS = 0.5
# How long a job that was told to abort may take before it is killed.
ABORT_SECONDS = 3.0
# How long the stacks of a hung job take to be written.
STACKS_SECONDS = 1.0
# How long what a job started may outlive it.
ORPHAN_SECONDS = 2.0
# How long a job that only answers its clients stays when the last of them is gone.
LINGER_SECONDS = 10.0
# How long it may take to end by itself: it throws away what is half made.
ENDING_SECONDS = 20.0


def main(arguments: Sequence[str]) -> int:
    """Run the job `arguments[0]` in the folder `arguments[1]`; returns the exit status."""
    hold_back()
    ignore_terminal()
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
        self._began = time.monotonic()
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
            platform.forget_address(before.key_file)  # of a supervisor that was killed
        self._keeper = StatusKeeper(folder, status)
        self._last = last_number(folder.events)
        self._server = RunServer(status.run, kind, self._wish, self._last)
        self._note_address()
        self._outcome: Finished | Failed | None = None
        self._stop_asked = self._aborted = self._suspended = False
        self._kill_at: float | None = None
        self._look_at = 0.0
        # For how long a job that hung was silent, and in which stage.
        self._hung: tuple[float, str] | None = None
        self._trouble: State | None = None
        self._sending = threading.Lock()
        self._groups = memory_groups()
        self._log_start = size_of(folder.worker_log)
        self._pulse = Pulse(folder, time.monotonic)
        self._to_job, job_end = multiprocessing.get_context("spawn").Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=job.main, args=(kind, str(folder.path), job_end), name=f"backprop {kind}"
        )
        self._job_end = job_end

    def run(self) -> int:
        """Spawn the job and stay until it has ended; returns the exit status."""
        follow_stop(lambda: self._wish(Command(command="stop", reason="SIGTERM")))
        pythons = processes.adopt_orphans()
        with held_back():  # the job begins so, until it can obey
            self._process.start()
        self._job_end.close()
        if self._kind == "train":  # the others may be silent for as long as who uses them
            self._pulse.limit = stuck_seconds(self._folder)
        while self._process.is_alive():
            self._turn()
        self._drain()
        self._catch_up()
        if self._outcome is None:
            self._explain_death()
        remove_folder(self._folder.half_made)  # of a job that was killed
        self._keeper.write()
        self._server.close()
        processes.end_orphans(pythons, ORPHAN_SECONDS)
        if self._kind == "train":  # while the lock is held, so that nobody goes on meanwhile
            report_on(self._folder)
        return self._keeper.status.exit_status or 0

    def _turn(self) -> None:
        for ready in wait([self._to_job, self._process.sentinel], timeout=LOOK_SECONDS):
            if ready is self._to_job and not self._receive():
                self._process.join(1.0)  # the pipe is closed: the job is ending
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._look()
        if self._kill_at is not None and now > self._kill_at:
            self._process.kill()

    def _look(self) -> None:
        """What is looked at now and then, whatever happens."""
        if self._server.ensure_reachable():
            self._note_address()
        self._keeper.write_if_due()
        self._look_at_job()
        alone = self._server.seconds_alone()
        if self._kind in job.TEMPORARY and alone > LINGER_SECONDS:
            ending = "stop" if alone < LINGER_SECONDS + ENDING_SECONDS else "abort"
            self._wish(Command(command=ending, reason="nobody is watching any more"))

    def _look_at_job(self) -> None:
        suspended = processes.is_suspended(self._process)
        if suspended != self._suspended:
            self._suspended = suspended
            self._tell_suspended()
        self._pulse.look(suspended=suspended)
        if self._pulse.hung and self._hung is None:
            self._hung = (self._pulse.silent, self._pulse.stage)
            processes.ask_for_stacks(self._process)
            self._kill_at = time.monotonic() + STACKS_SECONDS

    def _tell_suspended(self) -> None:
        """To the clients alone: the job numbers what is written, and it may be just writing."""
        self._keeper.status.message = "suspended" if self._suspended else ""
        self._keeper.write()
        if self._suspended:
            message = "the job is suspended (SIGSTOP); it goes on when it gets SIGCONT"
            self._server.publish(State(message=message))
        else:
            self._server.publish(State(message="the job goes on", trouble=False))
            if self._trouble is not None:  # what was wrong before still is
                self._server.publish(self._trouble)

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

    def _catch_up(self) -> None:
        """What was written by the job, and came no further when it was killed."""
        for line in tail_lines(self._folder.events, TAIL_BYTES):
            with suppress(ValueError):
                event = decode(line)
                if event.n > self._last:
                    self._pass_on(event)

    def _pass_on(self, event: Event) -> None:
        self._last = max(self._last, event.n)
        if isinstance(event, Finished | Failed):
            self._outcome = event
        elif isinstance(event, State):
            self._trouble = event if event.trouble else None
        self._pulse.see(event)
        self._keeper.see(event)
        self._server.publish(event)

    def _wish(self, wish: Command | Ask) -> None:
        """From any client's thread, or the one that follows signals."""
        if isinstance(wish, Command):
            if wish.command == "abort" and not self._aborted:
                self._aborted = True
                self._kill_at = time.monotonic() + ABORT_SECONDS
            self._stop_asked |= wish.command in {"stop", "abort"}
        threading.Thread(target=self._send, args=[wish], daemon=True).start()

    def _send(self, wish: Command | Ask) -> None:
        with self._sending, suppress(OSError, ValueError):
            self._to_job.send_bytes(pack(wish))

    def _explain_death(self) -> None:
        """The job ended without a word: write its last event for it."""
        code = self._process.exitcode
        recorder = Recorder(self._folder, self._pass_on)
        if self._aborted or (self._stop_asked and code in {EXIT_STOPPED, -SIGTERM}):
            status = self._keeper.status
            elapsed = time.monotonic() - self._began
            message = "aborted, not saved" if self._aborted else "stopped before it began"
            recorder.record(
                Finished(outcome="stopped", step=status.step, elapsed=elapsed, message=message)
            )
        else:
            recorder.record(self._death(code))
        recorder.close()

    def _death(self, code: int | None) -> Failed:
        silent, stage = self._hung or (None, "")
        death = Death(
            code=code,
            step=self._keeper.status.step,
            output=tail_of_log(self._folder, self._log_start),
            group=killed_since(self._groups, memory_groups()),
            silent=silent,
            stage=stage,
        )
        failed = explain(death, self._folder)
        write_black_box(
            self._folder,
            failed,
            pid=self._process.pid or 0,
            code=code,
            log_start=self._log_start,
            way=way_on(self._folder),
        )
        return failed

    def _note_address(self) -> None:
        self._keeper.status.address = self._server.address
        self._keeper.status.key_file = self._server.key_file
        self._keeper.write()
