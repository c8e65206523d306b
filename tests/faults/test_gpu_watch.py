"""A GPU that overheats, is throttled, fails or vanishes while a run goes on."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.hardware.stand_in import pynvml as stand_in
from trainer_core.config.safety_section import SafetySection
from trainer_core.errors import BackpropError
from trainer_core.hardware.gpu_limits import DeviceLimits
from trainer_core.hardware.gpu_watch import HELD, QUIET, Act, GpuWatch
from trainer_core.hardware.gpus import Gpu, GpuReader
from trainer_core.runs.control import Control
from trainer_core.runs.events import Checkpoint, Event, Failed, Metrics, Notice, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.worker import gpu_guard, sampling
from trainer_core.worker.gpu_guard import GpuGuard

DEVICE = DeviceLimits(slowdown=90, shutdown=97)


class Watched:
    """A watch over one GPU, fed with samples."""

    def __init__(self, **settings: Any) -> None:
        self.watch = GpuWatch(SafetySection(**settings), [DEVICE])

    def look(self, temperature: float | None = 50, **told: Any) -> list[Act]:
        return self.watch.look([Gpu(index=0, name="H100", temperature=temperature, **told)])

    def kinds(self, temperature: float | None = 50, **told: Any) -> list[str]:
        return [act.kind for act in self.look(temperature, **told)]

    def heats(self, *temperatures: float) -> list[list[str]]:
        return [self.kinds(one) for one in temperatures]


# --- heat ----------------------------------------------------------------------------------------


def test_it_warns_once_and_again_only_after_it_has_cooled() -> None:
    watched = Watched(gpu_warn=80)
    assert watched.heats(79, 80, 84, 76, 80) == [[], ["warn"], [], [], []]
    assert watched.heats(75, 79, 80) == [[], [], ["warn"]]
    (warning,) = Watched(gpu_warn=80).look(81)
    assert warning.message == "GPU 0, H100, is at 81 °C"
    assert "From 90 °C on the run pauses (safety.gpu_pause)." in warning.hint


def test_it_pauses_until_it_is_five_degrees_cooler() -> None:
    watched = Watched(gpu_pause=85)
    assert watched.heats(84, 85, 86, 81) == [["warn"], ["hold", "warn"], [], []]
    (release,) = watched.look(80)
    assert release.kind == "release"
    assert watched.heats(84, 85) == [[], ["hold"]]  # told once, held each time
    assert watched.look(80)[0].name == release.name


def test_it_saves_and_stops_before_the_device_shuts_itself_down() -> None:
    watched = Watched()
    assert watched.heats(94, 95, 99) == [["hold", "warn"], ["stop"], []]
    (stop,) = Watched(gpu_stop=80).look(81)
    assert stop.message == (
        "GPU 0, H100, is at 81 °C; from 80 °C on a run is stopped (safety.gpu_stop)"
    )


def test_a_temperature_that_is_not_told_changes_nothing() -> None:
    watched = Watched(gpu_pause=80)
    assert watched.kinds(80) == ["hold", "warn"]
    assert watched.kinds(None) == []
    assert watched.kinds(75) == ["release"]


# --- throttling ----------------------------------------------------------------------------------


def throttled(watched: Watched, *reasons: str, times: int, temperature: float = 70) -> list[str]:
    acts = [watched.kinds(temperature, throttling=list(reasons)) for _ in range(times)]
    return [kind for kinds in acts for kind in kinds]


def test_throttling_counts_when_it_lasts_and_is_told_once() -> None:
    watched = Watched()
    assert throttled(watched, "heat", times=HELD - 1) == []
    assert throttled(watched, times=1) == []
    assert throttled(watched, "chip", "chip_heat", times=HELD * 5) == ["warn"]
    assert throttled(watched, times=QUIET - 1) == []
    assert throttled(watched, "heat", times=HELD) == []
    assert throttled(watched, times=QUIET) == []
    assert throttled(watched, "heat", times=HELD) == ["warn"]


def test_throttling_is_told_by_its_reason() -> None:
    watched = Watched()
    throttled(watched, "power_brake", "chip", times=HELD - 1)
    (warning,) = watched.look(throttling=["power_brake", "chip"])
    assert "the power supply makes it slow down" in warning.message


def test_throttling_pauses_where_that_is_asked_until_it_is_over_and_the_gpu_is_cooler() -> None:
    watched = Watched(throttling="pause")
    assert throttled(watched, "heat", times=HELD, temperature=80) == ["hold", "warn"]
    assert throttled(watched, times=HELD * 3, temperature=76) == []  # at rest, and hot as before
    assert throttled(watched, times=1, temperature=75) == ["release"]
    assert throttled(watched, "power_brake", times=HELD) == ["hold"]
    assert throttled(watched, times=HELD) == ["release"]  # heat was not the reason


def test_throttling_can_be_left_alone() -> None:
    assert throttled(Watched(throttling="off"), "heat", times=HELD) == []


@pytest.mark.parametrize("setting", ["pause", "warn"])
def test_the_power_limit_is_no_more_than_a_line_of_the_log(setting: str) -> None:
    watched = Watched(throttling=setting)
    assert throttled(watched, "power_cap", times=HELD * 10) == ["note"]
    (note,) = Watched().look(throttling=["power_cap"], power_limit=300)
    assert note.message == "GPU 0, H100, is held at its power limit, 300 W, as under full load"


# --- memory, and a GPU that is gone --------------------------------------------------------------


def test_only_memory_errors_since_the_run_began_count() -> None:
    watched = Watched()
    assert watched.kinds(memory_errors=5, remapped_rows=2) == []
    assert watched.kinds(memory_errors=None) == []
    (abort,) = watched.look(memory_errors=7)
    assert abort.kind == "abort"
    assert "reports 2 new uncorrected errors of memory; nothing more is saved" in abort.message
    assert watched.kinds(memory_errors=9) == []


def test_rows_that_were_taken_out_of_use_are_memory_errors() -> None:
    watched = Watched()
    assert watched.kinds(remapped_rows=0) == []
    assert watched.kinds(remapped_rows=1) == ["abort"]


@pytest.mark.parametrize(("setting", "kinds"), [("warn", ["warn"]), ("off", [])])
def test_memory_errors_can_be_gone_on_with(setting: str, kinds: list[str]) -> None:
    watched = Watched(memory_errors=setting)
    assert watched.kinds(memory_errors=0) == []
    assert watched.kinds(memory_errors=1) == kinds
    assert watched.kinds(memory_errors=1) == []


def test_a_lost_gpu_ends_the_run() -> None:
    watched = Watched(memory_errors="off", throttling="off")
    watched.look(60)
    (abort,) = watched.watch.look([Gpu(index=0, name="GPU", lost=True)])
    assert abort.kind == "abort"
    assert abort.message.startswith("GPU 0, H100, is lost")


# --- what becomes of it in a job -----------------------------------------------------------------


def test_a_hold_is_not_the_users_pause() -> None:
    control = Control()
    control.hold("heat", "it is hot")
    control.ask("resume")
    assert control.paused
    assert control.pause_reason == "it is hot"
    control.ask("pause")
    control.release("heat")
    assert control.paused
    assert control.pause_reason == ""
    control.ask("resume")
    assert not control.paused


class Machine:
    """The GPUs of the stand-in; the first is the one that the job uses."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path = path
        self._first: dict[str, Any] = {"uuid": "GPU-1", "name": "H100", "temperature": 50}
        self._first |= {"errors": 0, "processes": [{"pid": os.getpid()}]}
        stand_in.install(monkeypatch, path, self._first)

    def now(self, others: list[dict[str, Any]] | None = None, **told: Any) -> None:
        self._first |= told
        stand_in.write(self._path, *(others or []), self._first)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    from trainer_core.hardware.facts import machine_facts

    machine_facts()  # what planning knows of the machine stays: a machine without a GPU
    return Machine(tmp_path / "gpus.json", monkeypatch)


def guard_of(tmp_path: Path, control: Control) -> tuple[Callable[[], None], list[Event]]:
    events: list[Event] = []
    folder = RunFolder(tmp_path)
    guard = GpuGuard(folder, Recorder(folder, events.append), control, GpuReader())
    reader = GpuReader()
    return lambda: guard.see(reader.read()), events


@pytest.mark.parametrize("setting", ["on", "off"])
def test_the_watch_begins_with_the_settings_and_can_be_switched_off(
    tmp_path: Path, machine: Machine, setting: Literal["on", "off"]
) -> None:
    control = Control()
    look, events = guard_of(tmp_path, control)
    machine.now(temperature=88)
    look()  # the engine has not read its config yet
    assert not control.paused
    control.safety = SafetySection(gpu_watch=setting)
    look()
    assert control.paused == (setting == "on")
    assert len(events) == (setting == "on")
    machine.now(temperature=82)
    look()
    assert not control.paused


def test_gpus_that_the_run_does_not_use_are_none_of_its_business(
    tmp_path: Path, machine: Machine
) -> None:
    control = Control()
    control.safety = SafetySection()
    machine.now(others=[{"uuid": "GPU-0", "temperature": 99, "processes": [{"pid": 1}]}])
    look, events = guard_of(tmp_path, control)
    look()
    assert not control.stopping
    assert events == []


def test_a_job_that_hangs_on_a_lost_gpu_is_ended(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_guard, "ENDING_SECONDS", 0.0)
    control, ended = Control(), []
    control.safety, control.end_now = SafetySection(), lambda: ended.append(control.failure)
    look, _ = guard_of(tmp_path, control)
    look()
    machine.now(error="NVML_ERROR_GPU_IS_LOST")
    look()
    assert control.aborting
    look()
    assert ended == [control.failure]
    assert isinstance(control.failure, BackpropError)
    assert control.failure.cause == "gpu"


# --- a real training -----------------------------------------------------------------------------


@pytest.fixture
def training(
    tmp_path: Path, demo: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Event], None]], tuple[list[Event], RunFolder]]:
    """Trains the demo's model, slowly enough to be looked at in between, telling each event."""
    pytest.importorskip("torch")
    from trainer_core.config.load import dump_config, load_config
    from trainer_core.runs.registry import new_run
    from trainer_core.runs.status import new_status, write_status
    from trainer_core.worker.job import perform
    from trainer_core.worker.training import train_and_export

    monkeypatch.setattr(sampling, "WATCH_SECONDS", 0.02)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = ["training.steps=400", "training.sample_prompts=[]", "training.eval_steps=1000"]
    settings += ["training.save_steps=1000", "model.backend=transformers", "data.limit=40"]

    def train(tell: Callable[[Event], None]) -> tuple[list[Event], RunFolder]:
        loaded = load_config(demo / "demo.yaml", settings)
        run, folder = new_run("watched", tmp_path / "run", dump_config(loaded))
        write_status(folder, new_status(run, "train", "demo", "demo"))
        events: list[Event] = []

        def take(event: Event) -> None:
            events.append(event)
            tell(event)

        recorder = Recorder(folder, take)
        perform(folder, recorder, Control(), partial(train_and_export, own_process=False))
        recorder.close()
        return events, folder

    return train


def test_a_run_pauses_until_its_gpu_has_cooled_and_is_saved_before_it_is_too_hot(
    training: Callable[..., tuple[list[Event], RunFolder]], machine: Machine
) -> None:
    paused: list[int] = []

    def heat(event: Event) -> None:
        if isinstance(event, Metrics):
            machine.now(temperature=93 if paused else 88)
        elif isinstance(event, Stage) and event.stage == "paused":
            paused.append(1)
            machine.now(temperature=80)

    events, folder = training(heat)
    ended = events[-1]
    assert isinstance(ended, Failed)
    assert (ended.cause, ended.exit_status) == ("gpu", 1)
    assert "is at 93 °C; from 92 °C on a run is stopped" in ended.message
    assert f"--resume {folder.path}" in ended.hint
    stages = [event for event in events if isinstance(event, Stage)]
    (held,) = [stage for stage in stages if stage.stage == "paused"]
    assert "is at 88 °C; goes on at 82 °C" in held.detail
    steps = [event.step for event in events if isinstance(event, Metrics)]
    (saved,) = [event.step for event in events if isinstance(event, Checkpoint)]
    assert saved == steps[-1]
    told = [event.message for event in events if isinstance(event, Notice)]
    assert [one for one in told if "GPU" in one] == ["GPU 0, H100, is at 88 °C: paused until 82 °C"]


def test_a_run_on_failing_memory_saves_nothing_more(
    training: Callable[..., tuple[list[Event], RunFolder]], machine: Machine
) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, Metrics):
            machine.now(errors=1)

    events, folder = training(fail)
    ended = events[-1]
    assert isinstance(ended, Failed)
    assert ended.cause == "gpu"
    assert "1 new uncorrected error of memory" in ended.message
    assert not any(isinstance(event, Checkpoint) for event in events)
    assert not (folder.path / "adapter" / "last").exists()
