"""A tracker that raises, dies or hangs: the job goes on, and says so once."""

import importlib.util
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.real_runs import wait_for
from tests.tracking.libraries import TRACKIO_THAT_HANGS, WANDB_THAT_RAISES, put, telling
from tests.tracking.reading import read_back
from tests.tracking.recorded import RecordedRun
from trainer_core.cli.track import track
from trainer_core.errors import BackpropError, LockedError, UserError
from trainer_core.runs.control import Control
from trainer_core.runs.events import Finished
from trainer_core.tracking.told import read_told, telling_lock
from trainer_core.worker import trackers
from trainer_core.worker.trackers import Trackers

ENDED = Finished(outcome="finished", step=10, elapsed=1.0)
HANGS = f"SECONDS = 600\n{TRACKIO_THAT_HANGS}"


class Job:
    """What a job does with its trackers, in this process."""

    def __init__(self, path: Path) -> None:
        self.run = RecordedRun(path)
        self.control = Control()
        self.trackers = Trackers(self.run.folder, self.run.recorder, self.control)

    def processes(self) -> list[psutil.Process]:
        """Those that tell of this run now."""
        return telling(self.run.folder.path)

    def end(self) -> None:
        """As a job ends."""
        self.trackers.settle(ENDED)
        self.run.say(ENDED)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Job]]:
    """Starts a job that tells a tracker whose library says what the test wants."""
    jobs = []

    def started(name: str, text: str) -> Job:
        with monkeypatch.context() as there:
            there.setenv("PYTHONPATH", put(tmp_path / "library", name, text))
            jobs.append(Job(tmp_path / "20260101-birds"))
        jobs[-1].trackers.start([name])
        return jobs[-1]

    yield started
    for process in telling(tmp_path):
        process.kill()


def test_one_that_raises_gets_the_rest_afterwards(
    start: Callable[[str, str], Job], capsys: pytest.CaptureFixture[str]
) -> None:
    job = start("wandb", WANDB_THAT_RAISES)
    job.run.train(1, 10)
    (notice,) = wait_for(job.run.notices)
    job.end()
    assert job.run.notices() == [notice]
    assert notice["message"] == "wandb: the server said 500 and more"
    folder = job.run.folder
    assert f"backprop track {folder.path} --to wandb" in notice["hint"]
    assert "RuntimeError: the server said 500" in (folder.path / "tracking/wandb.log").read_text()
    assert read_told(folder, "wandb").step == 4

    if importlib.util.find_spec("wandb") is None:
        pytest.skip("wandb is not installed")
    track(str(folder.path), to="wandb")
    assert capsys.readouterr().out == "wandb: told of steps 5 to 10\n"
    assert sorted(read_back("wandb", folder.path).curves["train/loss"]) == [*range(5, 11)]
    track(str(folder.path), to="wandb")
    assert capsys.readouterr().out == "wandb: has all of it, up to step 10\n"


def test_one_that_is_killed(start: Callable[[str, str], Job]) -> None:
    job = start("trackio", HANGS)
    job.processes()[0].kill()
    (notice,) = wait_for(job.run.notices)
    assert notice["message"] == f"trackio: its process ended with status -{signal.SIGKILL:d}"


@pytest.mark.parametrize("stopped", [False, True])
def test_one_that_hangs_is_not_waited_for(
    start: Callable[[str, str], Job], monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    # The patience of the other case would outlast the test.
    monkeypatch.setattr(trackers, "STOP_SECONDS", 0.2 if stopped else 3600.0)
    monkeypatch.setattr(trackers, "END_SECONDS", 3600.0 if stopped else 0.2)
    job = start("trackio", HANGS)
    job.run.train(1, 10)
    wait_for(lambda: read_told(job.run.folder, "trackio").notes)  # it has begun
    if stopped:
        job.control.ask("stop")
    job.end()
    (notice,) = job.run.notices()
    assert "trackio: has not taken the last 10 steps" in notice["message"]
    (process,) = job.processes()
    assert os.getsid(process.pid) == process.pid  # neither a terminal nor the supervisor ends it
    with pytest.raises(LockedError, match="just now"):
        track(str(job.run.folder.path), to="trackio")


def test_it_ends_with_a_job_that_is_killed(start: Callable[[str, str], Job]) -> None:
    job = start("wandb", WANDB_THAT_RAISES)
    job.run.train(1, 3)
    wait_for(lambda: read_told(job.run.folder, "wandb").step == 3)
    for process in job.trackers._processes.values():
        process.stdin.close()  # as the system does then
    wait_for(lambda: not job.processes())
    assert read_told(job.run.folder, "wandb").ended
    assert not job.run.notices()


def test_what_cannot_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RecordedRun(tmp_path / "20260101-birds")
    place = str(run.folder.path)
    with pytest.raises(UserError, match="names no tracker"):
        track(place)
    with pytest.raises(UserError, match="no tracker 'weights'"):
        track(place, to="tensorboard,weights")
    monkeypatch.setenv("PYTHONPATH", put(tmp_path / "library", "wandb", WANDB_THAT_RAISES))
    run.train(1, 10)
    run.finish(10)
    with pytest.raises(BackpropError, match="the server said 500"):
        track(place, to="wandb")
    run.folder.resolved.unlink()
    with pytest.raises(UserError, match="before it was planned"):
        track(place, to="wandb")


def test_a_process_that_tells_already_is_waited_for(tmp_path: Path) -> None:
    """The run goes on while the process of its last attempt still tells what that had to say."""
    run, other = (RecordedRun(tmp_path / name) for name in ("20260101-birds", "20260102-other"))
    for one in (run, other):
        one.train(1, 10)
        one.finish(10)
    with telling_lock(run.folder, "tensorboard"):
        process = _told_by_itself(run)
        # The last that it does before it waits; whoever starts then is behind.
        wait_for(lambda: psutil.Process(process.pid).nice() > psutil.Process().nice())
        assert _told_by_itself(other).wait(60) == 0
        assert process.poll() is None
        assert read_told(run.folder, "tensorboard").step == 0
    assert process.wait(60) == 0
    for one in (run, other):
        assert read_told(one.folder, "tensorboard").step == 10


def _told_by_itself(run: RecordedRun) -> "subprocess.Popen[bytes]":
    """The process that a job starts to tell TensorBoard of a run."""
    job = Trackers(run.folder, run.recorder, Control())
    job.start(["tensorboard"])
    return job._processes["tensorboard"]
