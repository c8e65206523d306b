"""A run where no dashboard can be shown."""

import sys

import pexpect

from tests.end_to_end.real_runs import (
    COMMAND,
    Cli,
    training,
)


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
