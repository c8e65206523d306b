"""A full disk pauses a run where everybody sees it, and the run goes on when there is room."""

import errno
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.trainings import Training
from trainer_core.runs.control import Control
from trainer_core.runs.events import Event

torch = pytest.importorskip("torch")

from trainer_core.engine import room  # noqa: E402 - torch may be missing
from trainer_core.engine.room import NoRoomError  # noqa: E402

MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(room, "POLL_SECONDS", 0.05)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own of 8 MiB. Skips where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """A file that leaves only so many bytes free."""
    path = disk / "somebody-elses"
    path.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - leave)))
    return path


def paused(event: Event) -> bool:
    return event.type == "stage" and event.stage == "paused"


def test_it_waits_and_goes_on_when_there_is_room(demo: Path, small_disk: Path) -> None:
    whole = Training(small_disk / "whole", demo)
    whole.go()
    shutil.rmtree(whole.folder.checkpoints)
    run = Training(small_disk / "run", demo)
    others: list[Path] = []

    def others_write_and_clean_up(event: Event) -> bool:
        if event.type == "metrics" and event.step == 2 and not others:
            others.append(fill(small_disk, 64 << 10))
        if paused(event):
            threading.Timer(0.3, others[0].unlink).start()
        return False

    assert run.go(others_write_and_clean_up).outcome == "finished"
    assert run.digest() == whole.digest()
    (warned,) = [event for event in run.of("warning") if "disk is full" in event.message]
    assert "no room for the checkpoint of step 2" in warned.message
    assert "the run waits and goes on" in warned.hint
    stages = [event.stage for event in run.of("stage")]
    assert stages[stages.index("paused") + 1] == "training"


def test_events_that_found_no_room_are_written_when_there_is(demo: Path, small_disk: Path) -> None:
    from trainer_core.runs.events import decode

    run = Training(small_disk / "run", demo)
    others: list[Path] = []

    def fills_it_all(event: Event) -> bool:
        if event.type == "metrics" and event.step == 1:
            others.append(fill(small_disk, 0))
        if paused(event) or event.type == "state":
            threading.Timer(0.3, lambda: others[0].unlink(missing_ok=True)).start()
        return False

    run.go(fills_it_all)
    numbers = [decode(line).n for line in run.folder.events.read_bytes().splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))
    steps = [decode(line) for line in run.folder.events.read_bytes().splitlines()]
    assert [e.step for e in steps if e.type == "metrics"] == [1, 2, 3, 4]


def test_it_stops_where_the_config_says_so_and_can_be_resumed(demo: Path, small_disk: Path) -> None:
    run = Training(small_disk / "run", demo, **{"safety.full_disk": "stop"})
    others: list[Path] = []

    def others_write(event: Event) -> bool:
        if event.type == "metrics" and event.step == 3:
            others.append(fill(small_disk, 64 << 10))
        return False

    with pytest.raises(NoRoomError, match="no room for"):
        run.go(others_write)
    assert run.checkpoints == ["step-2"]
    others[0].unlink()
    assert run.go().outcome == "finished"


def test_a_stop_ends_the_wait(demo: Path, small_disk: Path) -> None:
    run = Training(small_disk / "run", demo)
    control = Control()

    def others_write(event: Event) -> bool:
        if event.type == "metrics" and event.step == 3:
            fill(small_disk, 64 << 10)
        if paused(event):
            control.ask("stop")
        return False

    with pytest.raises(NoRoomError, match="what was saved before stands"):
        run.go(others_write, control)
    assert run.checkpoints == ["step-2"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_runs_full_while_it_is_written_is_tried_again(
    demo: Path, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a quota is, which no look at the disk tells of."""
    from trainer_core.engine import checkpoint

    seal, left = checkpoint._seal, [2]

    def full(folder: Path) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(number, "full")
        seal(folder)

    monkeypatch.setattr(checkpoint, "_seal", full)
    run = Training(tmp_path / "run", demo)
    assert run.go().outcome == "finished"
    assert run.checkpoints == ["step-2", "step-4"]


def test_an_error_that_is_not_of_room_is_not_waited_for(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer_core.engine import checkpoint

    def failing(_: Path) -> Any:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(checkpoint, "_seal", failing)
    run = Training(tmp_path / "run", demo)
    with pytest.raises(OSError, match="broken"):
        run.go()
    assert run.checkpoints == []
