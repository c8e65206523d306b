"""What NVML tells of GPUs."""

import os
from types import SimpleNamespace

import pynvml
import pytest

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
