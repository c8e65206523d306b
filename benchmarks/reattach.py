"""How long it takes to be back: from `backprop attach` to the run's newest step on the screen.

    python benchmarks/reattach.py [--times 20]

A worker as in benchmarks/soak.py takes 50 steps a second. Each time a dashboard is opened on it in
a terminal of 80x24, the clock stops when a step that was taken after the command is on the screen,
and the dashboard is killed. The goal is 2 s.
"""

import argparse
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pexpect
from soak import BACKPROP, started

from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import last_line
from trainer_core.runs.status import read_status

GOAL_SECONDS = 2.0
STEP = re.compile(rb"step ([\d,]+)/")


def main(times: int) -> int:
    """Print the seconds; returns 1 if the slowest took longer than the goal."""
    home = Path(tempfile.mkdtemp(prefix="reattach-"))
    os.environ.update(XDG_STATE_HOME=str(home / "state"), STEADY_STEPS="10000000", STEADY_RATE="50")
    folder = started(home / "run")
    time.sleep(20)
    seconds = []
    for _ in range(times):
        seconds.append(back(folder))
        print(f"{seconds[-1]:.2f} s", flush=True)
    status = read_status(folder)
    assert status is not None
    os.kill(status.pid, signal.SIGTERM)
    print(f"median {statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s")
    return int(max(seconds) > GOAL_SECONDS)


def back(folder: RunFolder) -> float:
    """Seconds until a step that the run takes from now on is on the screen."""
    newest = re.search(rb'"step":(\d+)', last_line(folder.events) or b"")
    assert newest is not None
    began = time.monotonic()
    dashboard = pexpect.spawn(
        BACKPROP[0],
        [*BACKPROP[1:], "attach", str(folder.path)],
        env={**os.environ, "TERM": "xterm-256color"},
        dimensions=(24, 80),
        timeout=30,
    )
    shown = 0
    while shown <= int(newest[1]):
        dashboard.expect(STEP.pattern)
        shown = int(dashboard.match.group(1).replace(b",", b""))  # type: ignore[union-attr]
    taken = time.monotonic() - began
    dashboard.close(force=True)
    return taken


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    sys.exit(main(parser.parse_args().times))
