"""Whether a long run loses anything or grows: memory, open files, metrics.

    python benchmarks/soak.py [--minutes 1440] [--rate 50] [--warm-up 5]

A real supervisor with a job that only says that it trains (tests/faults/steady_worker.py), a
headless client (`backprop attach --headless --json`) and a dashboard in a terminal of 160x50. Each
process's memory and open files are sampled every five seconds. Memory after the warm-up is
compared with memory at the end, each the median of a tenth of the samples. At the end every step is
looked for in events.jsonl, in the metrics files and in what the client printed. Exit status 1 if
memory grew by 1 % or more, files stayed open, or a metric is missing.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pexpect
import psutil

from trainer_core.runs.curves import curve_path, load_curve
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import register
from trainer_core.runs.status import new_status, read_status, write_status
from trainer_core.worker import client

ROOT = Path(__file__).parents[1]
WORKER = ROOT / "tests" / "faults" / "steady_worker.py"
BACKPROP = [sys.executable, "-c", "from trainer_core.cli import main; main()"]
SAMPLE_SECONDS = 5.0
MOST_GROWTH = 0.01
MEBIBYTE = 1 << 20


@dataclass
class Watched:
    """One process: its memory in bytes and its open files, sample by sample."""

    name: str
    process: psutil.Process
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def sample(self) -> None:
        """Look once."""
        with suppress(psutil.Error):
            self.memory.append(self.process.memory_info().rss)
            self.files.append(self.process.num_fds())

    def ends(self, warm: int) -> tuple[float, float]:
        """Memory after `warm` samples and at the end, each the median of a tenth of the rest."""
        rest = self.memory[warm:]
        tenth = max(1, len(rest) // 10)
        return statistics.median(rest[:tenth]), statistics.median(rest[-tenth:])


def main(minutes: float, rate: float, warm_up: float) -> int:
    """Run, watch, look for every step; returns the exit status."""
    home = Path(tempfile.mkdtemp(prefix="soak-"))
    steps = int(minutes * 60 * rate)
    os.environ.update(
        XDG_STATE_HOME=str(home / "state"),
        STEADY_STEPS=str(steps),
        STEADY_RATE=str(rate),
    )
    folder = started(home / "run")
    printed = home / "client.jsonl"
    headless = subprocess.Popen(
        [*BACKPROP, "attach", str(folder.path), "--headless", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=printed.open("wb"),
        stderr=subprocess.DEVNULL,
    )
    dashboard = pexpect.spawn(
        BACKPROP[0],
        [*BACKPROP[1:], "attach", str(folder.path)],
        env={**os.environ, "TERM": "xterm-256color"},
        dimensions=(50, 160),
    )
    threading.Thread(target=read_away, args=[dashboard], daemon=True).start()
    watched = processes(folder, headless.pid, dashboard.pid)
    print(f"{steps} steps at {rate:g} a second in {folder.path}", flush=True)
    while headless.poll() is None:
        for one in watched:
            one.sample()
        time.sleep(SAMPLE_SECONDS)
    dashboard.close(force=True)
    warm = int(warm_up * 60 / SAMPLE_SECONDS)
    good = [grew_not(one, warm) for one in watched]
    whole = nothing_lost(folder, printed, steps)
    return 0 if all(good) and whole else 1


def started(path: Path) -> RunFolder:
    """A run folder with a living worker."""
    path.mkdir()
    folder = RunFolder(path)
    shutil.copy(ROOT / "configs" / "demo" / "demo.yaml", folder.config)
    register("soak", folder)
    write_status(folder, new_status("soak", "train"))
    client.WORKER = (sys.executable, str(WORKER))
    client.start(folder)
    return folder


def read_away(terminal: "pexpect.spawn[bytes]") -> None:
    """Read what the dashboard draws, as a terminal does."""
    with suppress(pexpect.EOF, OSError, ValueError):
        while True:
            with suppress(pexpect.TIMEOUT):
                terminal.read_nonblocking(1 << 16, timeout=5)


def processes(folder: RunFolder, headless: int, dashboard: int) -> list[Watched]:
    """All that take part."""
    status = read_status(folder)
    assert status is not None
    supervisor = psutil.Process(status.pid)
    jobs = [one for one in supervisor.children() if "resource_tracker" not in str(one.cmdline())]
    return [
        Watched("supervisor", supervisor),
        *(Watched("job", one) for one in jobs),
        Watched("headless client", psutil.Process(headless)),
        Watched("dashboard", psutil.Process(dashboard)),
    ]


def grew_not(one: Watched, warm: int) -> bool:
    """Say what became of a process; whether it is well."""
    if len(one.memory) < warm + 10:
        print(f"{one.name}: only {len(one.memory)} samples")
        return False
    first, last = one.ends(warm)
    files = one.files[warm:-1]  # the last sample may fall into its end
    growth = last / first - 1
    print(
        f"{one.name}: {first / MEBIBYTE:.1f} -> {last / MEBIBYTE:.1f} MiB ({growth:+.2%}), "
        f"{min(files)} to {max(files)} open files, {len(one.memory)} samples"
    )
    return growth < MOST_GROWTH and min(files[: len(files) // 10]) == min(
        files[-len(files) // 10 :]
    )


def nothing_lost(folder: RunFolder, printed: Path, steps: int) -> bool:
    """Look for every step everywhere, and say so."""
    places: dict[str, Iterable[int]] = {
        "events.jsonl": steps_in(folder.events, "type"),
        "metrics_stream.jsonl": steps_in(folder.metrics_stream),
        "training_metrics.jsonl": steps_in(folder.training_metrics, "event"),
        "curves/loss.f64": map(int, load_curve(curve_path(folder.curves, "loss")).steps),
        "the headless client": steps_in(printed, "type"),
    }
    lost = {name: steps - matching(found) for name, found in places.items()}
    for name, count in lost.items():
        print(f"{name}: {count} of {steps} metrics missing")
    return not any(lost.values())


def matching(found: Iterable[int]) -> int:
    """How many steps there are, counted from 1 for as long as each follows the one before."""
    last = 0
    for step in found:
        if step != last + 1:
            break
        last = step
    return last


def steps_in(path: Path, key: str = "") -> Iterable[int]:
    """The steps in a file of lines; with `key`, of those rows that are a log of metrics."""
    with path.open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            if (not key or row.get(key) in {"metrics", "log"}) and "step" in row:
                yield row["step"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1440)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--warm-up", type=float, default=5, help="Minutes that are not counted.")
    sys.exit(main(**vars(parser.parse_args())))
