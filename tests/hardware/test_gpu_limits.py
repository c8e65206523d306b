"""The limits of a GPU's temperature, as it names them and as the settings change them."""

from pathlib import Path
from typing import Any

import pytest

from tests.hardware.stand_in import pynvml as stand_in
from trainer_core.config.safety_section import SafetySection
from trainer_core.hardware.gpu_limits import DeviceLimits, RunLimits, run_limits
from trainer_core.hardware.gpus import GpuReader


def limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **told: Any) -> DeviceLimits:
    stand_in.install(monkeypatch, tmp_path / "gpus.json", {"uuid": "GPU-1", **told})
    return GpuReader().limits()[0]


def test_a_device_that_names_its_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = limits(monkeypatch, tmp_path, slowdown=95, shutdown=98, maximum=93)
    assert found == DeviceLimits(slowdown=95, shutdown=98, maximum=93)
    assert run_limits(SafetySection(), found) == RunLimits(warn=90, pause=95, stop=96)


def test_a_newer_device_tells_how_far_it_is_from_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = limits(
        monkeypatch,
        tmp_path,
        temperature=35,
        margin=52,
        slowdown_distance=-2,
        shutdown_distance=-8,
        maximum_distance=0,
    )
    assert found == DeviceLimits(slowdown=89, shutdown=95, maximum=87)


@pytest.mark.parametrize("told", [{}, {"slowdown": 0, "shutdown": 0}, {"temperature": 40}])
def test_a_device_that_names_none_is_held_to_87_and_92(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: dict[str, Any]
) -> None:
    found = limits(monkeypatch, tmp_path, **told)
    assert found == DeviceLimits()
    assert run_limits(SafetySection(), found) == RunLimits(warn=82, pause=87, stop=92)


def test_what_is_set_counts_more_than_what_the_device_names() -> None:
    device = DeviceLimits(slowdown=95, shutdown=98)
    given = SafetySection(gpu_warn=60, gpu_pause=70, gpu_stop=80)
    assert run_limits(given, device) == RunLimits(warn=60, pause=70, stop=80)
    assert run_limits(SafetySection(gpu_pause=80), device).warn == 75


def test_no_limit_that_nobody_named_comes_before_one_that_somebody_did() -> None:
    assert run_limits(SafetySection(gpu_pause=95), DeviceLimits()).stop == 100
    assert run_limits(SafetySection(), DeviceLimits(slowdown=95)).stop == 100
    assert run_limits(SafetySection(gpu_stop=80), DeviceLimits(slowdown=95)).pause == 79
