"""Runs that wait for room on a shared GPU: real processes, and a stand-in for what NVML tells."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.real_runs import Cli, events, status_of, training, wait_for
from tests.hardware.stand_in import pynvml as stand_in
from trainer_core.cli.options import bytes_to_wait_for
from trainer_core.errors import UserError
from trainer_core.hardware.gpus import Gpu, GpuReader
from trainer_core.runs.control import Control
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.worker.vram_queue import Queue
from trainer_core.worker.waiting import STEADY_LOOKS, WISH, Waiting, ask_to_wait

GIB = 1 << 30
STAND_IN = Path(stand_in.__file__).parent
RUN = Path(__file__).with_name("waiting_run.py")


def gpu(number: int, used: int, holder: str = "") -> dict[str, Any]:
    """A GPU of 80 GiB."""
    processes = [{"pid": 4711, "name": holder, "memory": used * GIB}] if holder else []
    return {
        "uuid": f"GPU-{number}",
        "name": "H100",
        "total": 80 * GIB,
        "used": used * GIB,
        "processes": processes,
    }


class Server:
    """A machine with the stand-in's GPUs, and runs that wait on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._gpus = folder / "gpus.json"
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONPATH": str(STAND_IN),
            "STAND_IN_GPUS": str(self._gpus),
        }
        self.environment.pop("CUDA_VISIBLE_DEVICES", None)
        self._runs: list[subprocess.Popen[bytes]] = []

    def has(self, *gpus: dict[str, Any]) -> None:
        stand_in.write(self._gpus, *gpus)

    def run(self, name: str, wanted: int) -> "WaitingRun":
        """Start a run that waits for `wanted` GiB, and see it wait."""
        folder = RunFolder(self.folder / name)
        folder.path.mkdir()
        ask_to_wait(folder, wanted * GIB)
        with folder.worker_log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(RUN), str(folder.path)],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self._runs.append(process)
        run = WaitingRun(folder.path, process)
        wait_for(lambda: run.said)
        return run

    def end_all(self) -> None:
        for process in self._runs:
            process.kill()
            process.communicate()


class WaitingRun:
    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self.process = process

    @property
    def said(self) -> list[str]:
        """What it said that it waits for, of all times."""
        return [event["detail"] for event in events(self.folder) if event["type"] == "stage"]

    @property
    def started(self) -> bool:
        return (self.folder / "started").exists()

    @property
    def chosen(self) -> str:
        return (self.folder / "started").read_text()

    def takes_its_first_step(self) -> None:
        (self.folder / "step").touch()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.end_all()


def test_runs_start_in_order_and_never_two_into_the_same_gap(server: Server) -> None:
    server.has(gpu(0, used=70, holder="/usr/bin/ollama"))
    first, second, third = (server.run(name, 20) for name in ("first", "second", "third"))
    assert first.said[0] == (
        "for 20.0 GiB of GPU memory, place 1 of 1 in the queue: GPU 0 has 10.0 GiB of 80.0 GiB "
        "free, held by ollama (4711, 70.0 GiB)"
    )
    assert "place 3 of 3" in third.said[0]
    wait_for(lambda: "place 2 of 3" in second.said[-1])

    server.has(gpu(0, used=0))  # room for all three, if nobody looked
    wait_for(lambda: first.started)
    wait_for(lambda: "(after first, starting)" in second.said[-1])
    assert not second.started
    assert not third.started
    assert not (first.folder / WISH).exists()
    assert (second.folder / WISH).exists()

    first.takes_its_first_step()  # now it has what it needs, and what is free is free
    wait_for(lambda: second.started)
    assert not third.started
    second.kill()
    wait_for(lambda: third.started)


def test_the_ticket_of_a_killed_run_vanishes(server: Server) -> None:
    server.has(gpu(0, used=70))
    first, second, third = (server.run(name, 20) for name in ("first", "second", "third"))
    second.kill()
    wait_for(lambda: "place 2 of 2" in third.said[-1])
    first.kill()
    wait_for(lambda: "place 1 of 1" in third.said[-1])
    server.has(gpu(0, used=50))
    wait_for(lambda: third.started)


def test_the_gpu_that_has_room_is_taken_and_the_next_run_takes_another(server: Server) -> None:
    server.has(gpu(0, used=70), gpu(1, used=70))
    first, second = server.run("first", 20), server.run("second", 20)
    server.has(gpu(0, used=70), gpu(1, used=10))
    wait_for(lambda: first.started)
    assert first.chosen == "GPU-1"
    server.has(gpu(0, used=10), gpu(1, used=10))
    wait_for(lambda: second.started)
    assert second.chosen == "GPU-0"


def test_a_gap_that_closes_again_is_none(tmp_path: Path) -> None:
    looks = iter([*[60, 60, 60, 79] * 3, *[60] * STEADY_LOOKS])
    seen: list[int] = []

    class Reader(GpuReader):
        def read(self) -> list[Gpu]:
            seen.append(next(looks))
            used, total = seen[-1] * GIB, 80 * GIB
            return [Gpu(index=0, name="H100", uuid="GPU-0", memory_used=used, memory_total=total)]

    class Impatient(Control):
        def wait_for_stop(self, seconds: float) -> bool:
            return False

    place = Queue(tmp_path / "queue").take("run", 10 * GIB, ["GPU-0"])
    recorder = Recorder(RunFolder(tmp_path), lambda event: None)
    room = Waiting(10 * GIB, Reader(), place, recorder, Impatient()).wait()
    assert room.free == 20 * GIB
    assert len(seen) == 12 + STEADY_LOOKS
    place.leave()


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.skipif(bool(GpuReader().read()), reason="there is a GPU here")
def test_without_a_gpu_there_is_nothing_to_wait_for(cli: Cli) -> None:
    folder = cli.folder / "run"
    run = [*training("--headless", "--wait-for-vram", "20GB"), "--output", str(folder)]
    done = cli.run(*run, status=2)
    assert "there is no GPU here whose memory could be waited for" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not folder.exists()


def test_a_run_that_waits_can_be_watched_stopped_and_resumed(cli: Cli) -> None:
    server = Server(cli.folder)
    server.has(gpu(0, used=70, holder="python"))
    cli.environment |= server.environment
    folder = cli.folder / "run"
    arguments = training("--json", "--wait-for-vram", "20GB", "--output", str(folder))
    process = cli.start(*arguments)
    written = folder / "status.json"
    wait_for(lambda: written.exists() and status_of(folder)["stage"] == "waiting")
    os.kill(status_of(folder)["pid"], signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    told = [json.loads(line) for line in output.splitlines()]
    (waiting,) = [event for event in told if event.get("stage") == "waiting"]
    assert "for 18.6 GiB of GPU memory, place 1 of 1 in the queue" in waiting["detail"]
    assert not any(event.get("stage") == "importing" for event in told)
    assert status_of(folder)["state"] == "stopped"

    process = cli.start("train", "--resume", str(folder), "--headless")
    wait_for(lambda: len([e for e in events(folder) if e.get("stage") == "waiting"]) == 2)
    server.has(gpu(0, used=20))
    wait_for(lambda: any(e.get("stage") == "importing" for e in events(folder)))
    assert not (folder / WISH).exists()
    cli.run("stop", str(folder), "--abort")
    assert process.wait(60) == 130


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("20GB", 20 * 10**9), ("20", 20 * GIB), ("1.5 gib", 3 * GIB // 2), ("512MiB", GIB // 2)],
)
def test_sizes(words: str, wanted: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in.install(monkeypatch, tmp_path / "gpus.json", gpu(0, used=0))
    assert bytes_to_wait_for(words) == wanted


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("lots", "is no size"),
        ("0GB", "is no size"),
        ("-3", "is no size"),
        ("20 PB", "is no size"),
        ("200GB", "no GPU here has 186.3 GiB: the largest has 80.0 GiB"),
    ],
)
def test_what_can_never_be_there_is_refused(
    words: str, problem: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in.install(monkeypatch, tmp_path / "gpus.json", gpu(0, used=0))
    with pytest.raises(UserError, match=problem):
        bytes_to_wait_for(words)
