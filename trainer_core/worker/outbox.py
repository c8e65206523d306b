"""Sending that never waits: a bounded queue with a thread of its own for each connection."""

import threading
import time
from collections import deque
from multiprocessing.connection import Connection

from trainer_core.worker.platform import cut

CAPACITY = 2000


class Outbox:
    """Messages to one connection, in order. When the other side stops reading, the oldest are
    dropped; it sees the jump in the numbers and reads what it missed from the file."""

    def __init__(self, connection: "Connection", capacity: int = CAPACITY) -> None:
        self._connection = connection
        self._queue: deque[bytes] = deque(maxlen=capacity)
        self._changed = threading.Condition()
        self._sending = False
        self._closed = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._send, name="outbox", daemon=True)
        self._thread.start()

    def put(self, message: bytes) -> None:
        """Queue a message; never blocks."""
        with self._changed:
            self.dropped += len(self._queue) == self._queue.maxlen
            self._queue.append(message)
            self._changed.notify_all()

    def close(self, flush: float = 0.0) -> None:
        """Stop, after giving the queue up to `flush` seconds to empty."""
        deadline = time.monotonic() + flush
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or not (self._queue or self._sending),
                timeout=max(0.0, deadline - time.monotonic()),
            )
            self._closed = True
            self._changed.notify_all()
        cut(self._connection)

    def _send(self) -> None:
        while True:
            with self._changed:
                self._sending = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
                message = self._queue.popleft()
                self._sending = True
            try:
                self._connection.send_bytes(message)
            except (OSError, ValueError):
                with self._changed:
                    self._closed = True
                    self._changed.notify_all()
                return
