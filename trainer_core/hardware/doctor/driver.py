"""NVIDIA's driver as NVML tells of it."""

from contextlib import suppress
from typing import Any

import pynvml
from pydantic import BaseModel

from trainer_core.hardware.gpu_limits import DeviceLimits
from trainer_core.hardware.gpus import Gpu, GpuReader


class Driver(BaseModel):
    """Versions as the driver says them, `cuda` the newest CUDA that it can serve; `gpus` those that
    this process may use, each with its compute capability and the limits of its temperature, of
    `installed` in the machine.

    `error` is NVML's number where it could not be asked, and 0 otherwise; `words` says it.
    """

    error: int = 0
    words: str = ""
    version: str = ""
    cuda: tuple[int, int] | None = None
    installed: int = 0
    gpus: list[Gpu] = []
    capabilities: list[tuple[int, int] | None] = []
    limits: list[DeviceLimits] = []


def read_driver() -> Driver:
    """Ask NVML; the answer to a machine without a driver is an error, not an exception."""
    try:
        pynvml.nvmlInit()
        version = pynvml.nvmlSystemGetDriverVersion()
        cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        installed = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        return Driver(error=error.value, words=str(error))
    reader = GpuReader()
    gpus = reader.read()
    return Driver(
        version=version.decode() if isinstance(version, bytes) else version,
        cuda=(cuda // 1000, cuda % 1000 // 10),
        installed=installed,
        gpus=gpus,
        capabilities=[_capability(gpu) for gpu in gpus],
        limits=reader.limits(),
    )


def _capability(gpu: Gpu) -> tuple[int, int] | None:
    with suppress(pynvml.NVMLError):
        handle: Any = pynvml.nvmlDeviceGetHandleByUUID(gpu.uuid)
        major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
        return int(major), int(minor)
    return None
