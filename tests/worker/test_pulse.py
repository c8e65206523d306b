"""A job that says nothing for too long has hung; one that works, waits or is suspended has not."""

from pathlib import Path

import pytest

from trainer_core.runs.events import Hardware, Log, Stage
from trainer_core.runs.flight import Flight
from trainer_core.runs.folder import RunFolder
from trainer_core.worker.pulse import Pulse, stuck_seconds

CONFIG = "model:\n  base: nowhere\ndata:\n  train: rows.jsonl\n"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A job that is looked at every half second, by a clock of its own."""

    def __init__(self, folder: RunFolder, limit: float | None) -> None:
        self.clock = Clock()
        self.pulse = Pulse(folder, self.clock, limit)

    def pass_time(self, seconds: float, *, suspended: bool = False) -> bool:
        """Whether it was taken for hung meanwhile."""
        hung = False
        for _ in range(round(seconds * 2)):
            self.clock.now += 0.5
            self.pulse.look(suspended=suspended)
            hung |= self.pulse.hung
        return hung


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_silence_is_counted_up_to_the_limit(folder: RunFolder) -> None:
    watched = Watched(folder, 60)
    watched.pulse.see(Stage(stage="training"))
    assert not watched.pass_time(59)
    watched.pulse.see(Log(level="INFO", message="here"))
    assert not watched.pass_time(59)
    assert watched.pass_time(1)
    assert watched.pulse.silent == 60


def test_a_sample_of_the_machine_is_no_sign_of_life(folder: RunFolder) -> None:
    watched = Watched(folder, 60)
    assert not watched.pass_time(59)
    sample = Hardware(cpu=1, ram_used=1, ram_total=2, process_ram=1, disk_used=1, disk_total=2)
    watched.pulse.see(sample)
    assert watched.pass_time(1)


@pytest.mark.parametrize("stage", ["importing", "downloading", "loading"])
def test_what_takes_a_library_long_may_be_silent_four_times_as_long(
    folder: RunFolder, stage: str
) -> None:
    watched = Watched(folder, 60)
    watched.pulse.see(Stage(stage=stage))
    assert not watched.pass_time(239)
    assert watched.pass_time(1)


@pytest.mark.parametrize("stage", ["paused", "waiting", "exporting"])
def test_who_waits_for_others_has_not_hung(folder: RunFolder, stage: str) -> None:
    watched = Watched(folder, 60)
    watched.pulse.see(Stage(stage=stage))
    assert not watched.pass_time(3600)


def test_who_is_suspended_has_not_hung(folder: RunFolder) -> None:
    watched = Watched(folder, 60)
    assert not watched.pass_time(3600, suspended=True)
    assert watched.pass_time(60)


def test_a_night_asleep_is_no_silence(folder: RunFolder) -> None:
    watched = Watched(folder, 60)
    watched.clock.now += 30_000  # the machine slept, or all of us were suspended
    assert not watched.pass_time(50)


def test_never_is_never(folder: RunFolder) -> None:
    assert not Watched(folder, None).pass_time(10_000)


def test_the_flight_record_is_a_sign_of_life(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(folder, 60)
    monkeypatch.setattr("trainer_core.runs.flight.time.monotonic", watched.clock)
    flight = Flight(folder)
    watched.pass_time(50)
    flight.note(step=3)
    assert not watched.pass_time(59)
    assert watched.pass_time(1)
    flight.close()


def test_the_flight_record_of_an_earlier_life_is_none(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("trainer_core.runs.flight.time.monotonic", clock)
    Flight(folder).note(step=3)
    assert Watched(folder, 60).pass_time(60)


def test_the_limit_is_the_plans_then_the_configs(folder: RunFolder) -> None:
    assert stuck_seconds(folder) == 1800
    folder.config.write_text(f"{CONFIG}safety:\n  stuck_seconds: 70\n")
    assert stuck_seconds(folder) == 70
    folder.config.write_text(f"{CONFIG}safety:\n  stuck_seconds: null\n")
    assert stuck_seconds(folder) is None
    folder.resolved.write_text("config:\n  safety:\n    stuck_seconds: 50\n")
    assert stuck_seconds(folder) == 50


@pytest.mark.parametrize("text", ["", "[]", "config: 7", "config: {safety: {stuck_seconds: x}}"])
def test_a_broken_plan_leaves_the_default(folder: RunFolder, text: str) -> None:
    folder.resolved.write_text(text)
    assert stuck_seconds(folder) == 1800
