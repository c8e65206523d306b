"""Both sides prove that they hold the key (HMAC), and neither can keep the other waiting."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge

from trainer_core.worker.platform import cut

LIMIT_SECONDS = 5.0


_Step = Callable[["Connection", bytes], None]


class HandshakeError(Exception):
    """The other side does not hold the key, or took too long."""


@contextmanager
def time_limit(connection: "Connection", seconds: float = LIMIT_SECONDS) -> Iterator[None]:
    """Cut the connection if the block takes longer; blocked reads then fail at once."""
    timer = threading.Timer(seconds, cut, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def prove_to_client(connection: "Connection", key: bytes) -> None:
    """The worker's side. Raises HandshakeError."""
    _shake(connection, key, deliver_challenge, answer_challenge)


def prove_to_worker(connection: "Connection", key: bytes) -> None:
    """The client's side. Raises HandshakeError."""
    _shake(connection, key, answer_challenge, deliver_challenge)


def _shake(connection: "Connection", key: bytes, *steps: _Step) -> None:
    try:
        for step in steps:
            step(connection, key)
    except (
        OSError,
        EOFError,
        ValueError,
        AssertionError,
        multiprocessing.AuthenticationError,
    ) as error:
        raise HandshakeError(str(error) or type(error).__name__) from None
