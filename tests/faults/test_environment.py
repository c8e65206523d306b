"""Machines that lack something: a home that can be written, room for open files, shared memory, an
encoding that has every character."""

import resource
import shutil
import subprocess
from collections.abc import Callable

import pexpect
import pytest

from tests.end_to_end.real_runs import COMMAND, Cli, training
from tests.end_to_end.terminal import Terminal

QUICK = training("--headless", "--set", "training.steps=2", "--set", "data.limit=20")
NOWHERE = "/dev/null/home"  # no folder can be made there, by root neither


def finished(cli: Cli, *before: str, prepare: Callable[[], None] | None = None) -> str:
    """A short run, started by the command `before`; what it printed."""
    done = subprocess.run(
        [*before, *COMMAND, *QUICK],
        cwd=cli.folder,
        env=cli.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=prepare,
    )
    printed = done.stdout.decode(errors="replace")
    assert done.returncode == 0, printed
    assert "Traceback" not in printed
    (adapter,) = cli.folder.glob("runs/*/adapter/last")
    assert str(adapter) in printed
    return printed


def test_a_home_that_cannot_be_written_is_said_before_anything_is_begun(cli: Cli) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        del cli.environment[name]
    cli.environment["HOME"] = NOWHERE
    said = cli.run(*QUICK, status=2).stderr
    assert said.count("\n") == 1
    assert f"{NOWHERE}/.cache/backprop cannot be written" in said
    assert "XDG_CACHE_HOME" in said
    assert not (cli.folder / "runs").exists()


def test_with_a_cache_elsewhere_it_trains(cli: Cli) -> None:
    cli.environment["HOME"] = cli.environment["XDG_STATE_HOME"] = NOWHERE
    finished(cli)
    (run,) = cli.folder.glob("runs/*")
    assert "step 2/2" in cli.run("attach", str(run)).stdout
    assert "No runs yet" in cli.run("runs").stdout


def test_an_encoding_without_our_characters(cli: Cli) -> None:
    cli.environment["PYTHONIOENCODING"] = "ascii"
    assert "?" in finished(cli)  # where an arrow stood
    cli.environment["PYTHONIOENCODING"] = "latin-1"
    for command in ("runs", "doctor"):
        cli.run(command)


def test_few_open_files(cli: Cli) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    finished(cli, prepare=few)


def test_no_shared_memory(cli: Cli) -> None:
    hidden = 'mount -t tmpfs -o ro,size=4k none /dev/shm && exec "$@"'
    alone = ["unshare", "--mount", "sh", "-c", hidden, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("only who may mount can take /dev/shm away")
    finished(cli, *alone)


@pytest.mark.parametrize("size", [(1, 1), (3000, 1000), (1000, 3000), (20_000, 2)])
def test_terminals_of_any_size(cli: Cli, size: tuple[int, int]) -> None:
    program = pexpect.spawn(
        COMMAND[0],
        COMMAND[1:],
        cwd=str(cli.folder),
        env={**cli.environment, "TERM": "xterm-256color"},
        dimensions=(size[1], size[0]),
        timeout=90,
    )
    program.expect_exact("No runs yet" if size[1] > 3 else "\x1b[?1049h")
    program.send("q")
    program.expect_exact("\x1b[?1049l")  # the terminal is as it was
    program.expect(pexpect.EOF)
    program.close()
    assert program.exitstatus == 0


def test_a_terminal_that_can_do_nothing(cli: Cli) -> None:
    terminal = Terminal(cli, environment={"TERM": "dumb"})
    terminal.shows("the dashboard needs a terminal, and TERM is dumb")
    assert terminal.ended() == 2


def test_the_dashboard_in_a_locale_without_our_characters(cli: Cli) -> None:
    environment = {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"}
    terminal = Terminal(cli, environment=environment)
    terminal.shows("No runs yet")
    assert terminal.text().isascii()
    terminal.send("q")
    assert terminal.ended() == 0
