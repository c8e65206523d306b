"""A long file that goes to the disk while the rest of it is made, so that its end need not wait."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import BinaryIO

# Bytes between two times that the disk is set to work.
EVERY = 256 << 20


class Settling:
    """Of a file open for writing. To be used with `with`; what the disk complains of comes out of
    `wrote` or `finish` as OSError."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pool = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None
        self._waiting = 0

    def wrote(self, count: int) -> None:
        """So many bytes more were written."""
        self._waiting += count
        if self._waiting < EVERY or not (self._running is None or self._running.done()):
            return
        self._settled()
        self._waiting = 0
        self._running = self._pool.submit(os.fsync, self._file.fileno())

    def finish(self) -> None:
        """Wait until all that was written is on the disk."""
        self._settled()
        self._file.flush()
        os.fsync(self._file.fileno())

    def _settled(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def __enter__(self) -> "Settling":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
