"""Signals as wishes: taken in a thread of their own, whatever the main thread is busy with.

A handler in Python runs in the main thread, between two of its instructions: not while a library
computes or loads, and where the main thread happens to start a thread, a handler that starts one
too waits for ever. So a thread waits for what Python writes at once for each signal
(signal.set_wakeup_fd), and the handlers do no more than write the same.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

# What a person, systemd or SLURM sends to end a process in good order.
STOP = signal.SIGTERM


def ignore_terminal() -> None:
    """A closed terminal, or Ctrl+C in one, is no reason to end: clients pass on what is meant."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def follow_stop(take: Callable[[], None]) -> None:
    """Call `take`, in a thread, once for any number of SIGTERMs, those held back included. From the
    main thread only."""
    reading, writing = os.pipe()
    if sys.platform != "win32":
        os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_follow, args=[reading, take], name="signals", daemon=True).start()
    signal.signal(STOP, lambda *_: _wake(writing))
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP})


def hold_back() -> None:
    """Let a SIGTERM wait until `follow_stop`, here and in processes that this thread starts: it
    must not end one that is not ready to obey."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, {STOP})


@contextmanager
def held_back() -> Iterator[None]:
    """`hold_back` while the block runs."""
    hold_back()
    try:
        yield
    finally:
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP})


def _wake(writing: int) -> None:
    """Where a library has put another in the place of our wakeup descriptor."""
    with suppress(BlockingIOError):
        os.write(writing, bytes([STOP]))


def _follow(reading: int, take: Callable[[], None]) -> None:
    while STOP not in os.read(reading, 4096):
        pass
    take()
