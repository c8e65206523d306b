"""At which temperatures a GPU protects itself, and at which a run warns, pauses and stops."""

from typing import Any

import pynvml
from pydantic import BaseModel

from trainer_core.config.safety_section import SafetySection
from trainer_core.hardware.nvml import ask

# Where a device names no limit of its own, °C.
FALLBACK_PAUSE, FALLBACK_STOP = 87.0, 92.0
# A run is saved before the device cuts its own power.
BEFORE_SHUTDOWN = 2.0
# How much cooler a GPU must be than the limit it reached before that limit counts as left.
COOLED = 5.0
# What is no temperature of a chip is a device's way to name none.
_LEAST, _MOST = 30, 130


class DeviceLimits(BaseModel):
    """°C at which the device slows itself down, shuts itself down, and up to which it is made to
    work; None where it does not tell."""

    slowdown: float | None = None
    shutdown: float | None = None
    maximum: float | None = None


class RunLimits(BaseModel):
    """°C at which a run warns, pauses, and saves and stops."""

    warn: float
    pause: float
    stop: float


def device_limits(handle: Any) -> DeviceLimits:
    """What NVML tells of a device.

    Newer ones (from Ada on) tell distances instead: how far it is now from a point of the chip, and
    how far from that point each limit is. NVML Reference, NVML_FI_DEV_TEMPERATURE_*_TLIMIT.
    """
    limits = DeviceLimits(
        slowdown=_threshold(handle, pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN),
        shutdown=_threshold(handle, pynvml.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN),
        maximum=_threshold(handle, pynvml.NVML_TEMPERATURE_THRESHOLD_GPU_MAX),
    )
    if limits.slowdown is not None and limits.shutdown is not None:
        return limits
    told = limits.model_dump(exclude_none=True)
    return DeviceLimits(**(_from_distances(handle).model_dump() | told))


def run_limits(safety: SafetySection, device: DeviceLimits) -> RunLimits:
    """What the settings ask for, and for the rest what the device names. A limit that the device
    does not name never comes below one that is given."""
    pause = safety.gpu_pause or device.slowdown or FALLBACK_PAUSE
    if safety.gpu_stop is not None:
        stop = safety.gpu_stop
    elif device.shutdown is not None:
        stop = device.shutdown - BEFORE_SHUTDOWN
    else:
        stop = max(FALLBACK_STOP, pause + COOLED)
    if safety.gpu_pause is None:
        pause = min(pause, stop - 1)
    return RunLimits(warn=safety.gpu_warn or pause - COOLED, pause=pause, stop=stop)


def _threshold(handle: Any, kind: int) -> float | None:
    return _plausible(ask(lambda: pynvml.nvmlDeviceGetTemperatureThreshold(handle, kind)))


def _from_distances(handle: Any) -> DeviceLimits:
    now = ask(lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
    margin = ask(lambda: pynvml.nvmlDeviceGetMarginTemperature(handle))
    if now is None or margin is None:
        return DeviceLimits()
    fields = {
        "slowdown": pynvml.NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT,
        "shutdown": pynvml.NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT,
        "maximum": pynvml.NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT,
    }
    answers = ask(lambda: pynvml.nvmlDeviceGetFieldValues(handle, list(fields.values())))
    limits = {
        name: _plausible(now + margin - answer.value.siVal)
        for name, answer in zip(fields, answers or (), strict=False)
        if answer.nvmlReturn == pynvml.NVML_SUCCESS
    }
    return DeviceLimits(**limits)


def _plausible(degrees: float | None) -> float | None:
    return degrees if degrees is not None and _LEAST <= degrees <= _MOST else None
