"""One run a folder, whatever starts at once or was killed before; and nobody else's process is ever
signalled."""

import ast
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.real_runs import COMMAND, ROOT, wait_for
from tests.faults.how_many import times
from tests.faults.light_runs import LightRun
from trainer_core.files import remove_folder
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import is_alive, new_status, take_lock, write_status
from trainer_core.worker import platform, processes


@pytest.fixture
def run(tmp_path: Path) -> Iterator[LightRun]:
    run = LightRun(tmp_path / "run", "step wait")
    yield run
    run.kill()


@pytest.mark.parametrize("_round", range(times(1, 10)))
def test_of_twenty_starts_at_once_one_wins(tmp_path: Path, _round: int) -> None:
    run = LightRun(tmp_path / "run", "step wait")
    errors = [(tmp_path / f"error-{n}").open("w+b") for n in range(20)]
    started = [
        subprocess.Popen(
            run.command, stdin=subprocess.DEVNULL, stderr=error, start_new_session=True
        )
        for error in errors
    ]
    try:
        wait_for(lambda: sum(process.poll() is not None for process in started) == 19)
        (winner,) = (process for process in started if process.poll() is None)
        run.process = winner
        for process, error in zip(started, errors, strict=True):
            error.seek(0)
            said = error.read().decode().splitlines()
            if process is not winner:
                assert process.returncode == 2
                assert len(said) == 1
                assert "is in use by a running job" in said[0]
                assert "backprop attach" in said[0]
        run.until("metrics")
        assert run.status["pid"] == winner.pid
        winner.terminate()
        assert winner.wait(30) == 130
        run.require_nothing_left()
    finally:
        for process in started:
            process.kill()
        run.kill()


def test_a_lock_whose_owner_was_killed_is_free_at_once(run: LightRun) -> None:
    run.start()
    run.until("metrics")
    socket = Path(run.status["key_file"]).parent
    processes_of_it = run.everything
    for process in processes_of_it[1:]:
        process.suspend()  # else the job would take the lock over
    for process in processes_of_it:
        process.kill()
    run.end()
    assert not is_alive(run.folder)
    take_lock(run.folder, wait=0).release()
    assert socket.exists()
    second = run.start()
    wait_for(lambda: run.status["pid"] == second.pid)
    assert not socket.exists()  # what the dead left behind went with the next start


@pytest.mark.parametrize("job", ["train", "export"])
def test_a_job_whose_supervisor_was_killed_ends_and_leaves_nothing(run: LightRun, job: str) -> None:
    """A training leaves its report."""
    run.command[2] = job
    run.start()
    run.until("metrics")
    run.everything[0].kill()
    wait_for(lambda: run.status["state"] == "stopped")
    run.end()
    run.require_nothing_left()
    assert run.folder.report.exists() is (job == "train")
    assert run.folder.plots.exists() is (job == "train")


def test_an_address_in_a_status_leads_to_nobody_elses_folder(tmp_path: Path) -> None:
    for name in ("12345678/key", "x/key", "key"):
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        place.touch()
        platform.forget_address(str(place))
        assert place.exists()
    platform.forget_address("")


def test_the_pid_in_a_status_may_be_anybodys(run: LightRun) -> None:
    """A number that was given to another process since: it is neither signalled nor believed."""
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    status = new_status("run", "train")
    status.pid, status.state, status.address = other.pid, "running", "/nowhere/socket"
    write_status(run.folder, status)
    assert not is_alive(run.folder)
    command = [*COMMAND, "stop", str(run.path), "--abort"]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert other.poll() is None
    assert psutil.Process(other.pid).status() != psutil.STATUS_STOPPED
    other.communicate(b"\n", timeout=30)
    assert other.returncode == 0


def test_a_child_that_ended_is_not_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    process = get_context("spawn").Process(target=int)
    process.start()
    process.join(60)
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: sent.append(pid))
    processes.ask_for_stacks(process)
    assert sent == []
    assert not processes.is_suspended(process)


def test_nothing_is_signalled_by_its_number_alone() -> None:
    """os.kill takes any number; only `ask_for_stacks` uses it on another process, a child that was
    not waited for. What is ended elsewhere is a Popen, a Process or a psutil.Process of a child,
    which know whom they mean."""
    found = {
        (path.relative_to(ROOT).as_posix(), function.name)
        for package in ("trainer_core", "tui")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"kill|signal", text := path.read_text(encoding="utf-8"))
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and _signals_a_number(call)
    }
    assert found == {("trainer_core/worker/processes.py", "ask_for_stacks")}


def _signals_a_number(call: ast.Call) -> bool:
    called = ast.unparse(call.func)
    by_number = called in {"os.kill", "os.killpg", "signal.pidfd_send_signal"}
    found_by_number = "psutil.Process(" in called and called.rpartition(".")[2] in {
        "kill", "terminate", "send_signal", "suspend", "resume",
    }  # fmt: skip
    ourselves = ast.unparse(call.args[0]) in {"os.getpid()", "os.getpgrp()"} if call.args else False
    return (by_number and not ourselves) or found_by_number


def test_who_looks_at_a_run_that_is_being_removed_does_not_bring_it_back(tmp_path: Path) -> None:
    folders = [RunFolder(tmp_path / str(n)) for n in range(50)]
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for folder in folders:
                is_alive(folder)

    for folder in folders:
        folder.path.mkdir()
        folder.lock.touch()
    looking = threading.Thread(target=look)
    looking.start()
    for folder in folders:
        remove_folder(folder.path)
        time.sleep(0.002)
    over.set()
    looking.join()
    assert not any(tmp_path.iterdir())
