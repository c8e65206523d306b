"""The dashboard in a real terminal: opened, closed in the middle, and attached to again."""

import sys
from pathlib import Path

import pexpect
import pyte

from tests.end_to_end.real_runs import (
    COMMAND,
    Cli,
    events,
    status_of,
    step_of,
    training,
    wait_for,
)


class Terminal:
    """A terminal of 80x24 with a program in it, and what stands on its screen."""

    def __init__(self, cli: Cli, *arguments: str) -> None:
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)
        self.program = pexpect.spawn(
            sys.executable,
            [*COMMAND[1:], *arguments],
            cwd=str(cli.folder),
            env={**cli.environment, "TERM": "xterm-256color"},
            dimensions=(24, 80),
        )

    def text(self) -> str:
        """The screen, after what has come until now."""
        try:
            while True:
                self._stream.feed(self.program.read_nonblocking(65536, timeout=0.05))
        except (pexpect.TIMEOUT, pexpect.EOF):
            return "\n".join(self._screen.display)

    def shows(self, *words: str) -> None:
        """Wait until all `words` are on the screen."""
        wait_for(lambda: all(word in self.text() for word in words))


def test_a_closed_terminal_leaves_the_run_and_attach_shows_all_of_it(cli: Cli) -> None:
    folder: Path = cli.folder / "run"
    terminal = Terminal(cli, *training("--steps", "150", "--output", str(folder)))
    terminal.shows("[4 Train]", "importing")
    terminal.shows("/150  epoch")
    wait_for(lambda: step_of(folder) >= 5)
    dashboard = terminal.program.pid
    # Only the terminal's end is closed, as by a dropped connection: the kernel does the rest.
    terminal.program.ptyproc.fileobj.close()
    wait_for(lambda: not terminal.program.isalive())
    assert not Path(f"/proc/{dashboard}").exists()
    before = step_of(folder)
    wait_for(lambda: step_of(folder) > before)

    again = Terminal(cli, "attach")
    again.shows("[4 Train]", "running")
    again.program.send("x")
    again.shows("Stop this run?")
    again.program.send("\x1b[B\r")
    again.shows("stopped and saved at step")
    again.program.send("q")
    again.program.expect(pexpect.EOF)
    again.program.close()
    assert again.program.exitstatus == 130
    assert status_of(folder)["state"] == "stopped"
    steps = [e["step"] for e in events(folder) if e["type"] == "metrics"]
    assert steps == list(range(1, len(steps) + 1))


def test_a_dumb_terminal_is_told_why_there_is_text(cli: Cli) -> None:
    arguments = training("--steps", "2", "--output", "run")
    program = pexpect.spawn(
        sys.executable,
        [*COMMAND[1:], *arguments],
        cwd=str(cli.folder),
        env={**cli.environment, "TERM": "dumb"},
        timeout=120,
        encoding="utf-8",
    )
    program.expect("TERM is dumb, so this run is shown as text")
    program.expect("finished at step 2 of 2")
    program.expect(pexpect.EOF)
    program.close()
    assert program.exitstatus == 0
    assert (cli.folder / "run" / "status.json").is_file()
