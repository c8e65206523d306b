"""The terminal that the dashboard stands in: it is left as it was, and not outlived.

Textual takes signals in its event loop, which stands still while nobody reads the terminal, and it
starts drawing a second time at a SIGCONT that follows no stop. So they are taken here; a thread
waits for the terminal to hang up, which not every terminal says by a signal; and what has not ended
in time is ended. No run notices: its worker has a session of its own.
"""

import asyncio
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil
from textual.app import App
from textual.driver import Driver

# A terminal that is read takes what leaves it as it was in much less; one that is not, never.
LAST_SECONDS = 1.5


class Terminal:
    """Watches the terminal of a running app, until that ends."""

    def __init__(self, app: "App[Any]", driver: Driver) -> None:
        self._app = app
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._leaving = self._suspended = False

    def watch(self) -> None:
        """Take the signals, and wait for the terminal to hang up. In the main thread."""
        self._on("SIGTERM", self.leave)
        self._on("SIGHUP", self.leave)  # not where it is ignored, as by nohup
        if self._driver.can_suspend:
            self._on("SIGTSTP", self.suspend)
            self._on("SIGCONT", self._go_on)
        if hasattr(select, "poll"):
            threading.Thread(target=self._wait_for_hangup, name="hangup", daemon=True).start()

    def leave(self) -> None:
        """End the app; at once where that takes too long. From any thread."""
        if self._leaving:
            return
        self._leaving = True
        last = threading.Timer(LAST_SECONDS, self._end_at_once)
        last.daemon = True
        last.start()
        with suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._app.exit)

    def suspend(self) -> None:
        """Give the terminal back to the shell, which goes on until it lets us go on."""
        if self._leaving:
            return
        if not _has_shell():
            self._loop.call_soon_threadsafe(self._say_no_shell)
            return
        self._driver.suspend_application_mode()
        self._suspended = True
        # All that the shell waits for, or it would not know that we have stopped.
        os.killpg(os.getpgrp(), signal.SIGSTOP)

    def _go_on(self) -> None:
        if self._suspended and not self._leaving:
            self._suspended = False
            self._driver.resume_application_mode()
            self._loop.call_soon_threadsafe(self._draw)

    def _draw(self) -> None:
        self._app.refresh(layout=True)

    def _say_no_shell(self) -> None:
        self._app.notify("There is no shell to go back to; q leaves", timeout=3)

    def _wait_for_hangup(self) -> None:
        poll = select.poll()
        poll.register(sys.__stdin__ or 0, 0)
        with suppress(OSError):
            if any(what & (select.POLLHUP | select.POLLERR) for _, what in poll.poll()):
                self.leave()

    def _end_at_once(self) -> None:
        modes = getattr(self._driver, "attrs_before", None)
        if modes is not None:
            import termios

            with suppress(termios.error):
                termios.tcsetattr(sys.__stdin__ or 0, termios.TCSANOW, modes)
        os._exit(0)

    def _on(self, name: str, act: Callable[[], None]) -> None:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: act())


def _has_shell() -> bool:
    """Whether someone in our session waits for our process group and can let it go on: what POSIX
    calls not orphaned. The processes between that share our group stop and go on with us."""
    group, session = os.getpgrp(), os.getsid(0)
    with suppress(psutil.Error, OSError):
        for parent in psutil.Process().parents():
            if os.getpgid(parent.pid) != group:
                return os.getsid(parent.pid) == session
    return False
