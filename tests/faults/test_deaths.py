"""A job that dies is explained: why, in plain words, with what to do and a black box. Processes
really die here, without torch in them."""

import errno
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.real_runs import wait_for
from tests.faults.how_many import WHOLE
from tests.faults.light_runs import CONFIG, LightRun
from tests.faults.light_worker import Light
from trainer_core.errors import BackpropError
from trainer_core.runs.control import Control
from trainer_core.runs.events import Event, Failed, Finished, State
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.worker.client import RunClient
from trainer_core.worker.job import perform

DEATHS = {
    "kill": ("step save child kill", "killed", "killed from outside (SIGKILL)"),
    "segv": ("step segv", "crashed", "crashed in native code (SIGSEGV)"),
    "exit": ("step exit", "crashed", "ended without a word (exit code 7)"),
    "abort": ("step abort", "gpu", "device-side assert"),
}


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LightRun]]:
    """Runs that died, each in its way, all at once."""
    place = tmp_path_factory.mktemp("dead")
    runs = {name: LightRun(place / name, do) for name, (do, _, _) in DEATHS.items()}
    for run in runs.values():
        run.start()
    for run in runs.values():
        assert run.end() == 1
    yield runs
    for run in runs.values():
        run.kill()


@pytest.mark.parametrize("name", DEATHS)
def test_a_death_is_told_with_its_cause(dead: dict[str, LightRun], name: str) -> None:
    run, (_, cause, words) = dead[name], DEATHS[name]
    failed = run.failed
    assert failed["cause"] == cause
    assert words in failed["message"]
    assert failed["step"] == 1
    assert str(run.folder.black_box) in failed["hint"]
    status = run.status
    assert (status["state"], status["cause"], status["step"]) == ("failed", cause, 1)
    assert status["message"] == failed["message"]
    run.require_nothing_left()
    if WHOLE:  # a busy machine must not fail a test that runs with all others
        last = run.until("metrics")
        assert failed["time"] - last["time"] <= 3


def test_what_the_job_started_goes_with_it(dead: dict[str, LightRun]) -> None:
    child = int((dead["kill"].path / "child").read_text())
    assert not psutil.pid_exists(child)


def test_the_way_on_is_named(dead: dict[str, LightRun]) -> None:
    saved, unsaved = dead["kill"].failed["hint"], dead["segv"].failed["hint"]
    assert saved.endswith(f"Go on from step 1: backprop train --resume {dead['kill'].path}")
    assert "Nothing was saved yet; begin it again" in unsaved


def test_the_black_box_holds_what_was_known(dead: dict[str, LightRun]) -> None:
    run = dead["segv"]
    box = run.black_box
    assert box["format"] == 1
    assert (box["cause"], box["exit_code"]) == ("crashed", -signal.SIGSEGV)
    assert box["message"] == run.failed["message"]
    assert (box["stage"], box["step"]) == ("training", 1)
    assert box["flight"]["lengths"] == [7, 9]
    assert box["flight"]["rows"] == [3, 4]
    assert any("in segv" in line for line in box["log"])
    assert len(box["log"]) <= 100
    assert {"python", "pydantic", "torch"} <= set(box["versions"])
    assert box["machine"]["cores"]
    assert dead["abort"].black_box["likely"] == ("it trained a batch of 2 x 9 tokens just then")


def test_no_environment_in_the_black_box(dead: dict[str, LightRun]) -> None:
    text = json.dumps(dead["exit"].black_box)
    for name, value in os.environ.items():
        if any(word in name for word in ("TOKEN", "KEY", "SECRET", "PASSWORD")) and value:
            assert value not in text


class Told:
    """What a client was told, until the run ended."""

    def __init__(self, folder: RunFolder) -> None:
        self.client = RunClient(folder)
        assert self.client.wait_connected(60)
        self.events: list[Event] = []

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        for event in self.client.events(timeout=60):
            assert event is not None, "nothing more was told"
            self.events.append(event)
            if wanted(event):
                return event
        raise AssertionError("it ended without")


def test_a_suspended_job_is_told_and_a_hung_one_ended(tmp_path: Path) -> None:
    config = f"{CONFIG}safety:\n  stuck_seconds: 2\n"
    run = LightRun(tmp_path / "run", "step suspend step hang", config)
    run.start()
    try:
        wait_for(lambda: run.status["address"])
        told = Told(run.folder)
        suspended = told.until(lambda event: isinstance(event, State))
        assert isinstance(suspended, State)
        assert suspended.trouble
        assert "suspended" in suspended.message
        assert run.status["message"] == "suspended"
        late = Told(run.folder)  # who comes later is told too
        late.until(lambda event: isinstance(event, State) and event.trouble)
        run.job.resume()
        goes_on = told.until(lambda event: isinstance(event, State))
        assert isinstance(goes_on, State)
        assert not goes_on.trouble
        ended = told.until(lambda event: isinstance(event, Failed))
        assert isinstance(ended, Failed)
        assert ended.cause == "hung"
        assert ended.message.startswith("no sign of life for 2 s in training after step 1")
        assert sum(isinstance(event, State) for event in told.events) == 2
        assert run.end() == 1
        assert "in hang" in run.folder.worker_log.read_text()
        assert "it stood in hang (light_worker.py, line" in run.black_box["likely"]
        assert run.status["cause"] == "hung"
        run.require_nothing_left()
        told.client.close()
        late.client.close()
    finally:
        run.kill()


def end_of(folder: RunFolder, do: str) -> Finished | Failed:
    """How a job ends in this process, as Trainer runs one."""
    folder.path.mkdir()
    folder.config.write_text(CONFIG)
    recorder = Recorder(folder, lambda _: None)

    def work(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
        light = Light(folder, recorder, control)
        for name in do.split():
            getattr(light, name)()
        raise MemoryError("memory ran out in step 2")

    ended = perform(folder, recorder, Control(), work)
    recorder.close()
    return ended


@pytest.mark.parametrize(
    ("do", "cause", "words"),
    [
        ("step cuda", "gpu", "where it may not"),
        ("step bug", "error", "KeyError"),
        ("step give_up", "error", "the loss is not a number"),
        ("step", "out-of-memory", "memory ran out in step 2"),
    ],
)
def test_a_failure_of_ours_leaves_a_black_box(
    tmp_path: Path, do: str, cause: str, words: str
) -> None:
    folder = RunFolder(tmp_path / "run")
    ended = end_of(folder, do)
    assert isinstance(ended, Failed)
    assert (ended.cause, ended.step) == (cause, 1)
    assert words in ended.message
    assert str(folder.black_box) in ended.hint
    box = json.loads(folder.black_box.read_text())
    assert (box["cause"], box["step"]) == (cause, 1)
    assert box["flight"]["lengths"] == [7, 9]
    assert any("light_worker" in line or "test_deaths" in line for line in box["traceback"])
    assert "\x1b" not in json.loads(json.dumps(ended.message))


def test_a_users_mistake_needs_no_black_box(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    ended = end_of(folder, "mistake")
    assert isinstance(ended, Failed)
    assert (ended.cause, ended.exit_status) == ("user", 2)
    assert ended.message == "config.yaml:3: rows.jsonl does not exist"
    assert not folder.black_box.exists()


def test_an_error_that_names_its_cause_keeps_it(tmp_path: Path) -> None:
    class TooHotError(BackpropError):
        cause = "gpu"

    folder = RunFolder(tmp_path)
    recorder = Recorder(folder, lambda _: None)

    def work(*_: object) -> Finished:
        raise TooHotError("the GPU is at 99 °C", hint="Let it cool.")

    ended = perform(folder, recorder, Control(), work)
    recorder.close()
    assert isinstance(ended, Failed)
    assert ended.cause == "gpu"
    assert ended.hint.startswith("Let it cool.")


def test_the_first_end_is_the_last_event(tmp_path: Path) -> None:
    folder, seen = RunFolder(tmp_path), list[Event]()
    recorder = Recorder(folder, seen.append)
    recorder.record(Finished(outcome="stopped", step=1, elapsed=1.0))
    recorder.record(Failed(message="a process of the pool died"))
    recorder.close()
    assert [event.type for event in seen] == ["finished"]


def test_the_end_is_told_though_it_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, seen = RunFolder(tmp_path), list[Event]()
    recorder = Recorder(folder, seen.append)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("trainer_core.runs.jsonl.os.write", full)
    recorder.record(Finished(outcome="stopped", step=1, elapsed=1.0))
    recorder.close()
    assert [(event.type, event.n) for event in seen] == [("state", 0), ("finished", 0)]


GROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def small_group() -> Iterator[Callable[[int], None]]:
    """A control group with 200 MiB that a process can be put in, where we may make one."""
    limit, where = 200 << 20, GROUPS / "memory"
    files = {"memory.limit_in_bytes": limit, "memory.memsw.limit_in_bytes": limit}
    if (GROUPS / "cgroup.controllers").exists():
        where, files = GROUPS, {"memory.max": limit, "memory.swap.max": 0}
    group = where / f"backprop-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("we may make no control groups here")
    try:
        for name, value in files.items():
            if (group / name).exists():
                (group / name).write_text(str(value))
        if not any((group / name).exists() for name in files):
            pytest.skip("the groups here do not count memory")
        yield lambda pid: (group / "cgroup.procs").write_text(str(pid)) and None
    except OSError:
        pytest.skip("we may set no limits here")
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text(), 30)
        group.rmdir()


def test_the_kernels_kill_for_memory_is_told_with_its_numbers(
    tmp_path: Path, small_group: Callable[[int], None]
) -> None:
    run = LightRun(tmp_path / "run", "step memory")
    try:
        small_group(run.start().pid)
        assert run.end() == 1
        failed = run.failed
        assert failed["cause"] == "out-of-memory"
        assert "its control group allows 200.0 MiB and used 200.0 MiB at most" in failed["message"]
        assert "batch_size" in failed["hint"]
        assert run.black_box["memory"]["groups"][0]["kills"] == 1
    finally:
        run.kill()
