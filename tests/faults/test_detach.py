"""Whatever becomes of who watches, the run goes on, and nothing of it is missing afterwards."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.real_runs import COMMAND, Cli, step_of, wait_for
from tests.end_to_end.terminal import Terminal
from tests.faults.how_many import times
from tests.faults.light_runs import CONFIG, WorkerRun
from trainer_core.runs.events import Metrics
from trainer_core.worker.client import RunClient

STEADY = Path(__file__).with_name("steady_worker.py")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[WorkerRun]:
    """A run of fifty steps a second that goes on until it is stopped."""
    run = WorkerRun(tmp_path / "run", STEADY, CONFIG, STEADY_STEPS="1000000", STEADY_RATE="50")
    run.start()
    wait_for(lambda: step_of(run.path) >= 1)
    yield run
    run.kill()


def steps_seen(run: WorkerRun, at_least: int) -> list[int]:
    """The steps that a new client is told of, from the first on."""
    client, seen = RunClient(run.folder), []
    try:
        for event in client.events(timeout=60):
            if isinstance(event, Metrics):
                seen.append(event.step)
                if event.step >= at_least:
                    return seen
    finally:
        client.close()
    raise AssertionError("the run ended")


def goes_on(run: WorkerRun) -> int:
    """The run trains on; returns its step."""
    before = step_of(run.path)
    wait_for(lambda: step_of(run.path) > before + 5)
    assert run.process is not None
    assert run.process.poll() is None
    return step_of(run.path)


WAYS: dict[str, Callable[[Terminal], None]] = {
    "killed": lambda terminal: os.kill(terminal.pid, signal.SIGKILL),
    "hung up": lambda terminal: os.kill(terminal.pid, signal.SIGHUP),
    "its terminal closed": Terminal.close,
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", WAYS)
def test_a_dashboard_that_is_gone_takes_nothing_along(cli: Cli, run: WorkerRun, way: str) -> None:
    for _ in range(times(1, 34)):
        terminal = Terminal(cli, "attach", str(run.path))
        terminal.shows("Train", "step")
        WAYS[way](terminal)
        terminal.program.wait() if way != "its terminal closed" else None
        step = goes_on(run)
        assert steps_seen(run, step) == list(range(1, step + 1))
    again = Terminal(cli, "attach", str(run.path))
    again.shows("Train", "step")
    again.close()


@pytest.mark.parametrize("how", ["--headless", "--json"])
def test_an_output_that_nobody_reads_holds_nothing_up(
    cli: Cli, run: WorkerRun, how: str, tmp_path: Path
) -> None:
    process = cli.start("attach", str(run.path), how)
    wait_for(lambda: step_of(run.path) > 300)  # long after its pipe is full
    step = goes_on(run)
    subprocess.run([*COMMAND, "stop", str(run.path)], env=cli.environment, check=True)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    if how == "--json":
        told = [json.loads(line) for line in output.splitlines()]
        steps = [event["step"] for event in told if event["type"] == "metrics"]
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) >= step


def test_a_hangup_ends_the_text_and_not_the_run(cli: Cli, run: WorkerRun) -> None:
    process = cli.start("attach", str(run.path), "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"the run goes on in {run.path}" in error
    goes_on(run)


def test_nohup_is_respected(cli: Cli, run: WorkerRun) -> None:
    process = subprocess.Popen(
        ["nohup", *COMMAND, "attach", str(run.path), "--json"],
        env=cli.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    before = step_of(run.path)
    line = "{}"
    while json.loads(line).get("step", 0) <= before:  # it is still told of
        line = process.stdout.readline()
    process.kill()
    process.communicate()


def test_a_storm_of_ctrl_c_is_one_stop_and_one_abort(cli: Cli, run: WorkerRun) -> None:
    process = cli.start("attach", str(run.path), "--json")
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(50):
        process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert error.count("stopping and saving") == 1
    assert error.count("aborting") <= 1


def test_streams_that_are_closed_are_no_error(cli: Cli, run: WorkerRun) -> None:
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *COMMAND, "attach", str(run.path)],
        env=cli.environment,
    )
    goes_on(run)
    subprocess.run([*COMMAND, "stop", str(run.path)], env=cli.environment, check=True)
    assert process.wait(60) == 130
