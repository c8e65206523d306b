"""What NVML tells of GPUs."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from tests.hardware.stand_in import pynvml as stand_in
from trainer_core.hardware.gpus import GpuReader


def test_what_a_process_takes_is_told_of_that_process_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    processes = [SimpleNamespace(pid=7, usedGpuMemory=70), SimpleNamespace(pid=8, usedGpuMemory=80)]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 1)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda index: index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", lambda handle: processes)
    reader = GpuReader()
    assert reader.taken_by(8) == 80
    assert reader.taken_by(9) is None
    assert reader.taken_by(8, index=1) is None


@pytest.mark.skipif(bool(GpuReader().read()), reason="there is a GPU here")
def test_without_a_gpu_nothing_is_told() -> None:
    assert GpuReader().taken_by(os.getpid()) is None


def reader_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *gpus: dict[str, Any]) -> GpuReader:
    stand_in.install(monkeypatch, tmp_path / "gpus.json", *gpus)
    return GpuReader()


def test_health_is_told_with_every_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slowed = pynvml.nvmlClocksEventReasonHwSlowdown | pynvml.nvmlClocksEventReasonHwThermalSlowdown
    told = {"uuid": "GPU-1", "reasons": slowed | 1, "errors": 3, "rows": [7, 2, 1, 0]}
    (gpu,) = reader_of(monkeypatch, tmp_path, told).read()
    assert gpu.throttling == ["chip_heat", "chip"]
    assert (gpu.memory_errors, gpu.remapped_rows, gpu.remap_pending) == (3, 2, True)
    assert not gpu.lost


def test_what_a_gpu_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (gpu,) = reader_of(monkeypatch, tmp_path, {"uuid": "GPU-1"}).read()
    assert gpu.throttling is gpu.memory_errors is gpu.remapped_rows is gpu.remap_pending is None


def test_an_older_driver_knows_the_reasons_by_another_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (gpu,) = reader_of(monkeypatch, tmp_path, {"uuid": "GPU-1", "old_reasons": 4}).read()
    assert gpu.throttling == ["power_cap"]


@pytest.mark.parametrize("error", ["NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_RESET_REQUIRED"])
def test_a_gpu_that_is_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: str) -> None:
    reader = reader_of(monkeypatch, tmp_path, {"uuid": "GPU-1"})
    stand_in.write(tmp_path / "gpus.json", {"uuid": "GPU-1", "error": error})
    assert reader.read()[0].lost
    stand_in.write(tmp_path / "gpus.json", {"uuid": "GPU-1", "error": "NVML_ERROR_UNKNOWN"})
    assert not reader.read()[0].lost


def test_who_has_its_memory_most_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    theirs = [{"pid": 7, "memory": 5}, {"pid": 8, "memory": 9, "name": "/opt/\x1b[31mpython"}]
    reader = reader_of(monkeypatch, tmp_path, {"uuid": "GPU-1", "processes": theirs})
    assert [(one.pid, one.name) for one in reader.holders()] == [(8, "python"), (7, "")]
    assert reader.holders(index=1) == []


def test_a_gpu_chosen_later_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reader = reader_of(monkeypatch, tmp_path, {"uuid": "GPU-1"}, {"uuid": "GPU-2"})
    assert [gpu.uuid for gpu in reader.read()] == ["GPU-1", "GPU-2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2")
    assert [gpu.uuid for gpu in reader.read()] == ["GPU-2"]
