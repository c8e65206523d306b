"""The clock is moved while a run goes on: an hour back, a year ahead. Nothing that is counted in
seconds may notice (time.monotonic everywhere), and nothing may sort by it."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.end_to_end.real_runs import Cli, wait_for
from trainer_core.runs.events import Finished, Metrics
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import register
from trainer_core.runs.status import is_alive, new_status, read_status, write_status
from trainer_core.worker import client as client_module
from trainer_core.worker.client import RunClient, start

WORKER = Path(__file__).with_name("steady_worker.py")


def test_a_moved_clock_changes_nothing_that_is_counted_in_seconds(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    monkeypatch.setenv("XDG_STATE_HOME", cli.environment["XDG_STATE_HOME"])
    monkeypatch.setattr(client_module, "WORKER", (sys.executable, str(WORKER)))
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    register("clock", folder)
    write_status(folder, new_status("clock", "train"))
    with monkeypatch.context() as moved:
        for name, value in {
            "CLOCK": str(clock),
            "STEADY_STEPS": "1000000",
            "STEADY_RATE": "100",
        }.items():
            moved.setenv(name, value)
        start(folder)
    client, seen = RunClient(folder), []
    assert client.wait_connected(30)
    take(client, seen, 1)
    for offset in (-3600, 365 * 86_400, 0):
        written = clock.with_suffix(".new")
        written.write_text(str(offset))
        os.replace(written, clock)  # noqa: PTH105 - never half a time
        status = read_status(folder)
        assert status is not None
        take(client, seen, status.step + 150)  # a second and a half: status.json is written anew

        assert is_alive(folder)
        assert "clock" in cli.run("runs").stdout
    client.send("stop")
    ended = next(event for event in client.events(60) if isinstance(event, Finished))
    assert ended.outcome == "stopped"
    wait_for(lambda: not is_alive(folder))
    rows = [json.loads(line) for line in folder.events.read_bytes().splitlines()]
    assert [row["n"] for row in rows] == list(range(1, len(rows) + 1))
    times = [row["time"] for row in rows]
    assert min(times) < times[0] - 3000, "the clock did not move back"
    assert max(times) > times[0] + 300 * 86_400, "the clock did not move ahead"
    metrics = [row for row in rows if row["type"] == "metrics"]
    assert [row["step"] for row in metrics] == list(range(1, len(metrics) + 1))
    elapsed = [row["elapsed"] for row in metrics]
    assert elapsed == sorted(elapsed)
    assert 0 <= ended.elapsed < 300
    # And it goes on where it stood.
    monkeypatch.setenv("STEADY_STEPS", "1000000")
    monkeypatch.setenv("STEADY_RATE", "100")
    start(folder)
    again = RunClient(folder)
    assert again.wait_connected(30)
    assert len(seen) > 400
    again.send("stop")
    list(again.events(60))
    again.close()


def take(client: RunClient, steps: list[int], until: int) -> None:
    """Read what comes, up to step `until`."""
    for event in client.events(timeout=60):
        assert event is not None, "nothing comes any more"
        if isinstance(event, Metrics):
            steps.append(event.step)
            if event.step >= until:
                return
