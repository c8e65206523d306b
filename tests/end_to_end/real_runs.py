"""A real `backprop` in a real process, with a real worker behind it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "configs" / "demo"
COMMAND = [sys.executable, "-c", "from trainer_core.cli import main; main()"]


def hear_hangups() -> None:
    """In a process about to be started: as a shell would, though the tests be started by nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Cli:
    """Starts commands in a folder and a home of their own, and ends what they left behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "LC_ALL": "C.UTF-8",
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONUNBUFFERED": "1",
        }
        self.started: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and check its exit status."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command and go on."""
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_hangups,
        )
        self.started.append(process)
        return process

    def end_all(self) -> None:
        """Kill what still runs, workers included."""
        for status in self.folder.rglob("status.json"):
            pid = json.loads(status.read_text())["pid"]
            if psutil.pid_exists(pid) and "trainer_core.worker" in _command_line(pid):
                for child in psutil.Process(pid).children(recursive=True):
                    child.kill()
                os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.kill()
            process.communicate()


def _command_line(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def training(*more: str) -> list[str]:
    """Arguments of a small run: the demo's model and data, a tenth of a second a step."""
    return [
        "train",
        str(DEMO / "demo.yaml"),
        "--no-unsloth",
        "--set",
        "training.sample_prompts=[]",
        "--set",
        "training.eval_steps=1000",
        *more,
    ]


def events(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of events.jsonl."""
    path = folder / "events.jsonl"
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


def step_of(folder: Path) -> int:
    """The last step that was recorded."""
    return max((e["step"] for e in events(folder) if e["type"] == "metrics"), default=0)


def wait_for(condition: Callable[[], Any], seconds: float = 90, what: str = "it") -> Any:
    """Poll until `condition` holds; returns its value. `what` it is, a failure says."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def status_of(folder: Path) -> dict[str, Any]:
    """status.json"""
    return json.loads((folder / "status.json").read_text())


def job_of(folder: Path) -> psutil.Process:
    """The job process under the run's supervisor."""
    supervisor = psutil.Process(status_of(folder)["pid"])
    found = [p for p in supervisor.children() if "resource_tracker" not in " ".join(p.cmdline())]
    assert len(found) == 1
    return found[0]
