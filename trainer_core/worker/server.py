"""The listener of a run: any number of clients attach, each with a queue and threads of its own."""

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Listener
from pathlib import Path

from trainer_core.runs.events import Event, State, encode
from trainer_core.worker import platform
from trainer_core.worker.handshake import HandshakeError, prove_to_client, time_limit
from trainer_core.worker.outbox import Outbox
from trainer_core.worker.protocol import (
    MAX_CLIENT_MESSAGE,
    PROTOCOL,
    Ask,
    Command,
    FromClient,
    Hello,
    Refused,
    Welcome,
    from_client,
    pack,
)

MAX_CLIENTS = 64
FIRST_CLIENT_SECONDS = 30.0


class RunServer:
    """Listens for clients, sends them events, and passes on what they want of the job."""

    def __init__(
        self, run: str, job: str, on_wish: Callable[[Command | Ask], None], last: int
    ) -> None:
        self._run = run
        self._job = job
        self._on_wish = on_wish
        self._last = last
        # What is wrong just now and stands in no file, for clients that come later.
        self._trouble: bytes | None = None
        self._lock = threading.Lock()
        self._clients: set[Outbox] = set()
        # Whoever started the worker may be slow to attach; only then does being alone count.
        self._alone_since = time.monotonic() + FIRST_CLIENT_SECONDS
        self._key = secrets.token_bytes(32)
        self._folder: Path | None = None
        self.address = ""
        self.key_file = ""
        self._listen()

    def publish(self, event: Event) -> None:
        """Send an event to every client; never blocks."""
        message = encode(event)
        with self._lock:
            self._last = max(self._last, event.n)
            if isinstance(event, State):
                self._trouble = message if event.trouble else None
            for client in self._clients:
                client.put(message)

    def seconds_alone(self) -> float:
        """For how long no client has been attached."""
        with self._lock:
            return 0.0 if self._clients else time.monotonic() - self._alone_since

    def ensure_reachable(self) -> bool:
        """Listen anew if the address vanished (a cleaner of temporary files); True if it did."""
        if platform.address_exists(self.address) and Path(self.key_file).exists():
            return False
        self._stop_listening()
        self._listen()
        return True

    def close(self, flush: float = 2.0) -> None:
        """Give clients `flush` seconds to take what is queued, then end."""
        self._stop_listening()
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            client.close(flush)

    def _listen(self) -> None:
        self.address, self._folder = platform.new_address()
        key_file = self._folder / "key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(self._key)
        self.key_file = str(key_file)
        # No authkey here: accept() would then wait without limit for one stuck client.
        self._listener = Listener(self.address, family=platform.family(), backlog=16)
        threading.Thread(
            target=self._accept, args=[self._listener], name="accept", daemon=True
        ).start()

    def _stop_listening(self) -> None:
        with suppress(OSError):
            self._listener.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self, listener: Listener) -> None:
        while True:
            try:
                connection = listener.accept()
            except (OSError, EOFError):
                if listener is not self._listener or not platform.address_exists(self.address):
                    return
                continue
            threading.Thread(
                target=self._serve, args=[connection], name="client", daemon=True
            ).start()

    def _serve(self, connection: "Connection") -> None:
        with connection:
            try:
                with time_limit(connection):
                    prove_to_client(connection, self._key)
                    hello = from_client(connection.recv_bytes(MAX_CLIENT_MESSAGE))
                outbox = self._subscribe(connection, hello)
                if outbox is None:
                    return
                try:
                    self._take_wishes(connection)
                finally:
                    with self._lock:
                        self._clients.discard(outbox)
                        self._alone_since = time.monotonic()
                    outbox.close()
            except (HandshakeError, OSError, EOFError, ValueError):
                return

    def _subscribe(self, connection: "Connection", hello: FromClient) -> Outbox | None:
        refusal = ""
        if not isinstance(hello, Hello) or hello.protocol != PROTOCOL:
            refusal = (
                f"this worker speaks protocol {PROTOCOL}; use the version that started the run"
            )
        elif len(self._clients) >= MAX_CLIENTS:
            refusal = f"{MAX_CLIENTS} clients are attached already"
        if refusal:
            connection.send_bytes(pack(Refused(message=refusal)))
            return None
        outbox = Outbox(connection)
        with self._lock:  # subscribed first, so that nothing falls between file and wire
            outbox.put(pack(Welcome(run=self._run, job=self._job, last=self._last)))
            if self._trouble is not None:
                outbox.put(self._trouble)
            self._clients.add(outbox)
        return outbox

    def _take_wishes(self, connection: "Connection") -> None:
        while True:
            message = from_client(connection.recv_bytes(MAX_CLIENT_MESSAGE))
            if not isinstance(message, Hello):
                self._on_wish(message)
