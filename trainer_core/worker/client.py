"""Starting a job and watching one: spawn, then attach. Light; nothing here imports torch.

A client reads events.jsonl for what was, and the wire for what is; when numbers jump, or the wire
breaks, the file fills the gap. So every client sees every event once, in order.
"""

import platform as host
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

from trainer_core.errors import BackpropError, LockedError, UserError
from trainer_core.runs.control import CommandName
from trainer_core.runs.events import Event, Reply, decode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines
from trainer_core.runs.status import ENDED, Status, is_alive, read_status
from trainer_core.worker import platform
from trainer_core.worker.handshake import HandshakeError, prove_to_worker, time_limit
from trainer_core.worker.protocol import (
    MAX_CLIENT_MESSAGE,
    Ask,
    Command,
    Hello,
    Refused,
    greeting,
    pack,
)

START_SECONDS = 30.0
POLL_SECONDS = 0.25
# Events that wait to be taken; what draws takes hundreds at once, and one of them is some 1 KB.
QUEUED = 10_000
# -P: nothing is imported from the folder that we stand in, which may be anybody's.
Heard = Callable[[dict[str, Any]], None]
WORKER = (sys.executable, "-P", "-m", "trainer_core.worker")


def start(folder: RunFolder, job: str = "train") -> None:
    """Start the worker for a run folder that holds a config; returns when clients can attach.

    Raises LockedError if the run goes on already, BackpropError if the worker cannot start.
    """
    require_free(folder)
    process = platform.start_detached([*WORKER, job, str(folder.path)], folder.worker_log)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        status = read_status(folder)
        if status is not None and status.pid == process.pid and status.address:
            _reap(process)
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    if process.returncode == LockedError.exit_status:
        raise LockedError(f"{folder.path} is running already", hint="Watch it: backprop attach")
    raise BackpropError("the worker did not start", hint=f"Its output is in {folder.worker_log}.")


def require_free(folder: RunFolder) -> None:
    """Wait while the worker of a run that has ended writes its report. Raises LockedError if the
    run goes on."""
    deadline = time.monotonic() + START_SECONDS
    while is_alive(folder):
        status = read_status(folder)
        ended = status is not None and status.state in ENDED
        if not ended or time.monotonic() > deadline:
            raise LockedError(f"{folder.path} is running already", hint="Watch it: backprop attach")
        time.sleep(0.05)


def _reap(process: "subprocess.Popen[bytes]") -> None:
    """Take the exit status when the worker ends, so that it leaves no zombie behind."""
    threading.Thread(target=process.wait, name="reap", daemon=True).start()


class RunClient:
    """Follows one run. A thread fills a queue; `take` or `events` empty it.

    With `stay` a run that has ended is followed on, since it may be resumed, by whomever; `ended`
    then says how it is now. Once events are taken, no more than QUEUED of them wait: who stops
    taking for long gets the rest from the file.
    """

    def __init__(self, folder: RunFolder, name: str = "backprop", *, stay: bool = False) -> None:
        self.folder = folder
        self.connected = False
        self.ended = False
        self.problem = ""
        self._name = name
        self._stay = stay
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._is_taken = False
        self._offset = 0
        self._last = 0
        self._connection: Connection | None = None
        self._sending = threading.Lock()
        self._asked: dict[str, tuple[Future[dict[str, Any]], Heard]] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="run client", daemon=True)
        self._thread.start()

    def take(self, deadline: float) -> Iterator[Event]:
        """The events that are here, oldest first, until `deadline` (time.monotonic)."""
        self._is_taken = True
        while time.monotonic() < deadline:
            try:
                event = self._queue.get_nowait()
            except queue.Empty:
                return
            if event is not None:
                yield event

    def events(self, timeout: float | None = None) -> Iterator[Event | None]:
        """Every event until the run has ended; None each time `timeout` seconds bring nothing."""
        while True:
            try:
                event = self._queue.get(timeout=timeout)
            except queue.Empty:
                yield None
                continue
            if event is None:
                return
            yield event

    def send(self, command: CommandName, reason: str = "") -> bool:
        """Ask the job for something; False if nobody is listening."""
        return self._send(pack(Command(command=command, reason=reason)))

    def ask(
        self, question: dict[str, Any], hear: Heard = lambda _: None
    ) -> "Future[dict[str, Any]]":
        """Put a question to the job. The answer comes in a thread of ours; it is a BackpropError
        where the job has none, or where the job can no longer be reached. Before it, in the same
        thread, `hear` is given what is known of it so far, as often as the job says that."""
        answer: Future[dict[str, Any]] = Future()
        ask = Ask(id=secrets.token_hex(8), question=question)
        try:
            message = pack(ask)
        except ValueError:  # a lone surrogate, which no terminal can have typed
            answer.set_exception(UserError("that is no text"))
            return answer
        if len(message) > MAX_CLIENT_MESSAGE:
            answer.set_exception(UserError("that is too long to ask for"))
            return answer
        self._asked[ask.id] = (answer, hear)
        if not self._send(message):
            self._answer(Reply(id=ask.id, error="the worker cannot be reached"))
        return answer

    def wait_connected(self, seconds: float) -> bool:
        """Wait until commands can be sent; False if the run ended or the time passed first."""
        deadline = time.monotonic() + seconds
        while not self.connected and not self.ended and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.connected

    def close(self) -> None:
        """Detach. The run goes on."""
        self._closed.set()
        connection = self._connection
        if connection is not None:
            platform.cut(connection)
        self._thread.join(timeout=2.0)

    def _send(self, message: bytes) -> bool:
        connection = self._connection
        if connection is None:
            return False
        try:
            with self._sending:
                connection.send_bytes(message)
        except (OSError, ValueError):
            return False
        return True

    def _answer(self, reply: Reply) -> None:
        if reply.id not in self._asked:
            return  # another client's
        answer, hear = self._asked[reply.id]
        if reply.part:
            hear(reply.answer)
            return
        self._asked.pop(reply.id, None)
        if reply.error:
            answer.set_exception(BackpropError(reply.error))
        else:
            answer.set_result(reply.answer)

    def _follow(self) -> None:
        try:
            while not self._closed.is_set():
                status = read_status(self.folder)
                self._read_file()
                if self._attach(status):
                    continue
                # Once it has ended, only a worker that answers says that it lives again: whoever
                # resumes it needs the lock, which is not tried then.
                if self.ended or self._is_over(status):
                    self._read_file()
                    self.ended = True
                    if not self._stay:
                        return
                self._closed.wait(POLL_SECONDS)
        finally:
            self.connected, self.ended = False, True
            self._queue.put(None)

    def _is_over(self, status: Status | None) -> bool:
        if status is None:
            return True
        if status.host != host.node():  # its lock cannot be seen from here: believe the file
            return status.state in ENDED
        return not is_alive(self.folder)

    def _attach(self, status: Status | None) -> bool:
        """Follow the wire until it breaks; False if there is none."""
        if status is None or status.host != host.node() or not status.address:
            return False
        connection = self._greet(status)
        if connection is None:
            return False
        with connection:
            try:
                while not self._closed.is_set():
                    self._take(connection.recv_bytes())
            except (OSError, EOFError, ValueError):
                pass
            finally:
                self.connected, self._connection = False, None
                for asked in list(self._asked):
                    self._answer(Reply(id=asked, error="the connection to the worker was lost"))
        return True

    def _greet(self, status: Status) -> "Connection | None":
        try:
            key = Path(status.key_file).read_bytes()
            # On Windows this is a PipeConnection, which has the same methods.
            connection: Connection = Client(  # type: ignore[assignment, unused-ignore]
                status.address, family=platform.family()
            )
        except (OSError, EOFError, ValueError):
            return None
        try:
            with time_limit(connection):
                prove_to_worker(connection, key)
                connection.send_bytes(pack(Hello(client=self._name)))
                answer = greeting(connection.recv_bytes())
        except (HandshakeError, OSError, EOFError, ValueError):
            connection.close()
            return None
        if isinstance(answer, Refused):
            self.problem = answer.message
            connection.close()
            return None
        if answer.last > self._last:
            self._read_file()
        self._connection, self.connected, self.ended = connection, True, False
        return connection

    def _take(self, message: bytes) -> None:
        try:
            event = decode(message)
        except ValueError:
            return  # an event of a newer version
        if isinstance(event, Reply):
            self._answer(event)
        elif event.n > self._last + 1:
            self._read_file()  # it holds this event too: it is written before it is sent
        elif event.n == 0 or event.n == self._last + 1:
            self._last = max(self._last, event.n)
            self._put(event)

    def _put(self, event: Event) -> None:
        """Queue it when there is room. Until then the wire is not read, and the worker drops what
        it cannot send."""
        while self._is_taken and self._queue.qsize() >= QUEUED and not self._closed.is_set():
            self._closed.wait(POLL_SECONDS)
        self._queue.put(event)

    def _read_file(self) -> None:
        for line, self._offset in read_lines(self.folder.events, self._offset):  # noqa: B020 - the offset after each line is where the next read starts
            try:
                event = decode(line)
            except ValueError:
                continue  # an event of a newer version
            if event.n > self._last:
                self._last = event.n
                self._put(event)
