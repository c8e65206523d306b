"""The dashboard in a real terminal: opened, closed in the middle, and attached to again."""

import sys
from pathlib import Path

import pexpect

from tests.end_to_end.real_runs import (
    COMMAND,
    Cli,
    events,
    status_of,
    step_of,
    training,
    wait_for,
)
from tests.end_to_end.terminal import Terminal


def test_a_closed_terminal_leaves_the_run_and_attach_shows_all_of_it(cli: Cli) -> None:
    folder: Path = cli.folder / "run"
    terminal = Terminal(cli, *training("--steps", "150", "--output", str(folder)))
    terminal.shows("[4 Train]", "importing")
    terminal.shows("/150  epoch")
    wait_for(lambda: terminal.read() and step_of(folder) >= 5)
    terminal.close()
    terminal.ended()
    before = step_of(folder)
    wait_for(lambda: step_of(folder) > before)

    again = Terminal(cli, "attach")
    again.shows("[4 Train]", "running")
    again.send("x")
    again.shows("Stop this run?")
    again.send("\x1b[B\r")
    again.shows("stopped and saved at step")
    again.send("q")
    assert again.ended() == 130
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
