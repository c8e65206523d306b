"""A run of many steps: every step is in every file and with every client, and nothing grows that
should not. `benchmarks/soak.py` does the same for hours, and measures memory too."""

import json
import sys
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.real_runs import wait_for
from tests.faults.how_many import times
from trainer_core.runs.curves import curve_path, load_curve
from trainer_core.runs.events import Metrics
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import new_status, read_status, write_status
from trainer_core.worker import client as client_module
from trainer_core.worker.client import RunClient, start

WORKER = Path(__file__).with_name("steady_worker.py")
STEPS = times(300, 10_000)


def test_no_metric_is_lost_and_no_file_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "WORKER", (sys.executable, str(WORKER)))
    monkeypatch.setenv("STEADY_STEPS", "1000000")
    monkeypatch.setenv("STEADY_RATE", "200")
    folder = RunFolder(tmp_path)
    write_status(folder, new_status("steady", "train"))
    start(folder)
    early = RunClient(folder)
    seen: list[int] = []
    assert early.wait_connected(30)
    take(early, seen, until=STEPS // 3)
    before = open_files(folder)
    for _ in range(
        5
    ):  # whoever attaches in the middle sees what was before too, and leaves nothing
        late, all_of_it = RunClient(folder), []
        take(late, all_of_it, until=STEPS // 2)
        late.close()
        assert all_of_it == list(range(1, len(all_of_it) + 1))
    take(early, seen, until=STEPS)
    wait_for(lambda: open_files(folder) == before)
    early.send("stop")
    take(early, seen)
    every = list(range(1, len(seen) + 1))
    assert seen == every
    assert steps_in(folder.events, "metrics") == every
    assert steps_in(folder.metrics_stream) == every
    assert steps_in(folder.training_metrics, "log") == every
    for name in ("loss", "grad_norm", "learning_rate", "tokens_per_second"):
        assert load_curve(curve_path(folder.curves, name)).steps.tolist() == every


def take(client: RunClient, steps: list[int], until: int | None = None) -> None:
    """Read what comes up to step `until`, or to the end of the run."""
    for event in client.events(timeout=60):
        assert event is not None, "nothing comes any more"
        if isinstance(event, Metrics):
            steps.append(event.step)
            if event.step == until:
                return


def open_files(folder: RunFolder) -> list[int]:
    """How many files and sockets the supervisor and the job have open."""
    status = read_status(folder)
    assert status is not None
    supervisor = psutil.Process(status.pid)
    return [process.num_fds() for process in (supervisor, *supervisor.children())]


def steps_in(path: Path, kind: str = "") -> list[int]:
    """The steps in a file of lines, of those whose `type` or `event` is `kind`."""
    rows = map(json.loads, path.read_bytes().splitlines())
    return [row["step"] for row in rows if kind in {"", row.get("type"), row.get("event")}]
