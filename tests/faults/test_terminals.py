"""A terminal that is closed, stalled, suspended, resized or none at all: the dashboard leaves it as
it was, ends when it is gone, and says in a sentence why it cannot be shown.
"""

import os
import shlex
import signal

import psutil
import pytest

from tests.end_to_end.real_runs import COMMAND, Cli, wait_for
from tests.end_to_end.terminal import LEFT, Terminal
from tests.faults.how_many import times

# A machine that is busy with other tests takes its time; the promise is two seconds.
GONE_SECONDS = times(60, 2)
# So large that a few screens fill all that lies between a program and a terminal.
LARGE = (160, 50)


@pytest.mark.parametrize(
    ("stalled", "deaf"), [(False, False), (False, True), (True, True), (True, False)][: times(3, 4)]
)
def test_a_dashboard_whose_terminal_is_gone_ends(cli: Cli, stalled: bool, deaf: bool) -> None:
    """Also where SIGHUP is ignored (nohup), and where nobody had read the terminal any more."""
    terminal = Terminal(cli, deaf_to_hangup=deaf, size=LARGE)
    terminal.shows("No runs yet")
    if stalled:
        _stall(terminal)
    terminal.close()
    terminal.ended(GONE_SECONDS)


def test_a_dashboard_that_is_told_to_end_leaves_the_terminal_as_it_was(cli: Cli) -> None:
    for signals in [(signal.SIGTERM,), (signal.SIGHUP,), (signal.SIGTERM, signal.SIGCONT)]:
        terminal = Terminal(cli)
        before = terminal.modes()
        terminal.shows("No runs yet")
        assert terminal.modes() != before
        _send(terminal, *signals)
        assert terminal.ended(GONE_SECONDS) == 0
        assert terminal.modes() == before
        assert all(sequence in terminal.written for sequence in LEFT)
        terminal.close()


def test_a_stalled_dashboard_can_be_told_to_end(cli: Cli) -> None:
    terminal = Terminal(cli, size=LARGE)
    before = terminal.modes()
    terminal.shows("No runs yet")
    _stall(terminal)
    os.kill(terminal.pid, signal.SIGTERM)
    wait_for(lambda: not terminal.program.isalive(), GONE_SECONDS)
    assert terminal.modes() == before


def test_a_stalled_dashboard_goes_on_when_it_is_read_again(cli: Cli) -> None:
    terminal = Terminal(cli, size=LARGE)
    terminal.shows("No runs yet")
    _stall(terminal)
    terminal.send("1")
    terminal.shows("[1 Runs]")
    terminal.send("7")
    terminal.shows("[7 System]", "RAM")
    terminal.send("q")
    assert terminal.ended() == 0


def test_suspended_and_back_again(cli: Cli) -> None:
    """In a shell with job control, under a program that waits for it: both stop, both go on."""
    terminal = Terminal(cli, program=["bash", "--norc", "-i"], environment={"PS1": "ready> "})
    terminal.shows("ready>")
    terminal.send(f"env {shlex.join(COMMAND)}\r")
    terminal.shows("[1 Runs]", "No runs yet")
    for _ in range(2):
        terminal.send("\x1a")
        terminal.shows("Stopped")
        assert all(sequence in terminal.written for sequence in LEFT)
        terminal.send("fg\r")
        terminal.shows("[1 Runs]", "No runs yet")
    terminal.send("7")
    terminal.shows("[7 System]")
    terminal.send("q")
    wait_for(lambda: terminal.read() and terminal.written.endswith(b"ready> "))
    terminal.send("echo left with $?\r")
    terminal.shows("left with 0")


def test_without_a_shell_ctrl_z_says_so(cli: Cli) -> None:
    terminal = Terminal(cli)
    terminal.shows("No runs yet")
    terminal.send("\x1a")
    terminal.shows("no shell to go back to")
    terminal.send("q")
    assert terminal.ended() == 0


def test_signals_in_a_storm(cli: Cli) -> None:
    """SIGCONT to a dashboard that was never stopped, and sizes that change faster than it draws."""
    terminal = Terminal(cli)
    terminal.shows("No runs yet")
    for number in range(times(30, 300)):
        os.kill(terminal.pid, signal.SIGCONT)
        width, height = [(80, 24), (1, 1), (300, 90), (20, 50), (160, 3)][number % 5]
        terminal.program.setwinsize(height, width)
    terminal.program.setwinsize(24, 80)
    terminal.send("7")
    terminal.shows("[7 System]", "RAM")
    terminal.send("q")
    assert terminal.ended() == 0


def _send(terminal: Terminal, *signals: signal.Signals) -> None:
    for number in signals:
        os.kill(terminal.pid, number)


def _stall(terminal: Terminal) -> None:
    """Let the dashboard draw without reading any of it, until keys make it do nothing more."""
    process, used, pressed = psutil.Process(terminal.pid), [0.0], []

    def deaf() -> bool:
        used.append(sum(process.cpu_times()[:2]))
        if used[-1] - used[-2] < 0.02:  # it has done what the last key wanted of it
            pressed.append(used[-1])
            terminal.send("17"[len(pressed) % 2])
        return len(pressed) > 5 and pressed[-1] - pressed[-5] < 0.03

    wait_for(deaf)
