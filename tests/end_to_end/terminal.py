"""A real terminal with the dashboard in it, and what stands on its screen."""

import os
import termios
from collections.abc import Sequence
from typing import Any

import pexpect
import pyte

from tests.end_to_end.real_runs import COMMAND, Cli, hear_hangups, wait_for

# What leaves the alternate screen, shows the cursor again and lets go of the mouse.
LEFT = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l")


class Terminal:
    """A terminal, of 80x24 unless told otherwise, with `backprop` and its `arguments` in it, or
    another `program`."""

    def __init__(
        self,
        cli: Cli,
        *arguments: str,
        size: tuple[int, int] = (80, 24),
        environment: dict[str, str] | None = None,
        deaf_to_hangup: bool = False,
        program: Sequence[str] = (),
    ) -> None:
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        # All that the program wrote.
        self.written = b""
        command = [*(program or COMMAND), *arguments]
        self.program = pexpect.spawn(
            command[0],
            command[1:],
            cwd=str(cli.folder),
            env={**cli.environment, "TERM": "xterm-256color", **(environment or {})},
            dimensions=(size[1], size[0]),
            ignore_sighup=deaf_to_hangup,
            preexec_fn=None if deaf_to_hangup else hear_hangups,
        )
        # Read without pexpect, which would decide by itself when the program has ended.
        self._file = self.program.child_fd
        os.set_blocking(self._file, False)

    @property
    def pid(self) -> int:
        """Of the dashboard."""
        return int(self.program.pid)

    def text(self) -> str:
        """The screen, after what has come until now."""
        self.read()
        return "\n".join(self._screen.display)

    def read(self) -> bool:
        """Take in what the program wrote; False once nothing can come any more."""
        try:
            while data := os.read(self._file, 65536):
                self.written += data
                self._stream.feed(data)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def shows(self, *words: str, seconds: float = 90) -> None:
        """Wait until all `words` are on the screen."""
        try:
            wait_for(lambda: all(word in self.text() for word in words), seconds)
        except AssertionError:
            raise AssertionError(f"never came: {words}\n{self.text()}") from None

    def send(self, keys: str) -> None:
        """Press keys."""
        self.program.send(keys)

    def close(self) -> None:
        """Close the terminal's end, as a dropped connection does: the kernel does the rest."""
        self._file = -1
        self.program.ptyproc.fileobj.close()

    def modes(self) -> list[Any]:
        """How the terminal treats keys."""
        return termios.tcgetattr(self._file)

    def ended(self, seconds: float = 60) -> int:
        """Wait for the end of the program, reading on; returns its exit status, negative for a
        signal."""
        wait_for(lambda: self.read() is None or not self.program.isalive(), seconds)
        self.read()
        status, number = self.program.exitstatus, self.program.signalstatus
        return -int(number) if number is not None else int(status or 0)
