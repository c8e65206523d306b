"""Runs of a worker with a person's hand in it: real processes, a real supervisor, and for most a
job without torch (light_worker.py)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.end_to_end.real_runs import events, status_of, wait_for
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import new_status, write_status

WORKER = Path(__file__).with_name("light_worker.py")
CONFIG = "model:\n  base: nowhere\ndata:\n  train: rows.jsonl\n"


class WorkerRun:
    """A run folder, and the worker in it: a script that ends in the supervisor's main."""

    def __init__(self, path: Path, worker: Path, config: str, **environment: str) -> None:
        self.path = path
        self.folder = RunFolder(path)
        self.environment = {**os.environ, **environment}
        self.command = [sys.executable, str(worker), "train", str(path)]
        path.mkdir(exist_ok=True)
        self.folder.config.write_text(config)
        write_status(self.folder, new_status(path.name, "train"))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the worker, as trainer_core/worker/platform.py does."""
        with self.folder.worker_log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def end(self) -> int:
        """Wait for its end; returns the exit status."""
        assert self.process is not None
        return self.process.wait(60)

    def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Wait for an event."""

        def found() -> dict[str, Any] | None:
            for event in events(self.path):
                if event["type"] == kind and all(event.get(k) == v for k, v in fields.items()):
                    return event
            return None

        return wait_for(found, 60)

    @property
    def job(self) -> psutil.Process:
        """The job's process."""
        return next(p for p in self.everything if "spawn_main" in " ".join(p.cmdline()))

    @property
    def everything(self) -> list[psutil.Process]:
        """All processes of its session, the worker first."""
        assert self.process is not None
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid:
                    found.append(process)
            except (OSError, psutil.Error):
                continue
        living = [p for p in found if p.status() != psutil.STATUS_ZOMBIE]
        return sorted(living, key=lambda p: p.pid != self.process.pid)  # type: ignore[union-attr]

    @property
    def status(self) -> dict[str, Any]:
        return status_of(self.path)

    @property
    def failed(self) -> dict[str, Any]:
        """Its last event, which must be that it failed."""
        last = events(self.path)[-1]
        assert last["type"] == "failed", last
        return last

    @property
    def black_box(self) -> dict[str, Any]:
        return json.loads(self.folder.black_box.read_text())

    def require_nothing_left(self) -> None:
        """No process of its session, no socket, a lock that is free."""
        from trainer_core.runs.status import is_alive

        wait_for(lambda: not self.everything, 30)
        key_file = self.status["key_file"]  # none where it ended before it listened
        assert not key_file or not Path(key_file).parent.exists()
        assert not is_alive(self.folder)

    def kill(self) -> None:
        """End whatever is left of it."""
        if self.process is not None:
            for process in self.everything:
                process.kill()
            self.process.wait(30)
            key_file = Path(self.status["key_file"])
            if key_file.name == "key":
                shutil.rmtree(key_file.parent, ignore_errors=True)


class LightRun(WorkerRun):
    """One whose job does what `do` names (light_worker.py)."""

    def __init__(self, path: Path, do: str, config: str = CONFIG) -> None:
        super().__init__(path, WORKER, config)
        (path / "do").write_text(do)
