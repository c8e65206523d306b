"""NVIDIA GPUs through NVML: what each one does now. A machine without them is not an error."""

import os
from typing import Any

import pynvml
from pydantic import BaseModel

from trainer_core.hardware.gpu_limits import DeviceLimits, device_limits
from trainer_core.hardware.nvml import Asking, ask, words
from trainer_core.text import one_line

BFLOAT16_CAPABILITY = 8

# Why a GPU runs slower than it could: it is held at its power limit; the driver or the chip saves
# it from heat; the power supply asks for less; the chip slows down for a reason it does not tell.
THROTTLES = {
    "power_cap": pynvml.nvmlClocksEventReasonSwPowerCap,
    "heat": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
    "chip_heat": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    "power_brake": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
    "chip": pynvml.nvmlClocksEventReasonHwSlowdown,
}


class Gpu(BaseModel):
    """One GPU now. Memory in bytes, percent, °C, watts; what NVML does not tell is None.

    `throttling` is empty where nothing slows it down. `memory_errors` counts uncorrected errors
    since the driver was loaded, `remapped_rows` rows of memory taken out of use for them, ever;
    `remap_pending` rows wait for a reset. `lost`: it fell off the bus, or must be reset.
    """

    index: int
    name: str
    uuid: str = ""
    utilization: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    temperature: float | None = None
    power: float | None = None
    power_limit: float | None = None
    throttling: list[str] | None = None
    memory_errors: int | None = None
    remapped_rows: int | None = None
    remap_pending: bool | None = None
    lost: bool = False


class Holder(BaseModel):
    """A process that has memory of a GPU; `memory` in bytes, where NVML tells."""

    pid: int
    name: str
    memory: int | None = None


class GpuReader:
    """Reads the GPUs that this process may use, in CUDA's order.

    `note` says why there are none, in words for the screen.
    """

    def __init__(self) -> None:
        self.note = ""
        self._handles: list[Any] = []
        self._selection: str | None = None
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self.note = f"n/a ({error})"
            return
        self._find(os.environ.get("CUDA_VISIBLE_DEVICES"))

    def read(self) -> list[Gpu]:
        """A sample of each GPU; one that fell off the bus has a name and nothing else.

        A run that waited for room names its GPU in CUDA_VISIBLE_DEVICES; that is followed.
        """
        selection = os.environ.get("CUDA_VISIBLE_DEVICES")
        if self._handles and selection != self._selection:
            self._find(selection)
        return [_sample(index, handle) for index, handle in enumerate(self._handles)]

    def limits(self) -> list[DeviceLimits]:
        """The temperatures at which each GPU protects itself."""
        return [device_limits(handle) for handle in self._handles]

    def computes_bfloat16(self) -> bool:
        """Whether the first GPU multiplies bfloat16 in hardware: from capability 8.0 on."""
        if not self._handles:
            return False
        found = ask(lambda: pynvml.nvmlDeviceGetCudaComputeCapability(self._handles[0]))
        return bool(found and found[0] >= BFLOAT16_CAPABILITY)

    def taken_by(self, pid: int, index: int = 0) -> int | None:
        """What a process takes of a GPU in bytes, its CUDA context included; None where NVML does
        not tell, as in a container that numbers its processes anew."""
        found = self._processes(index)
        return next((process.usedGpuMemory for process in found if process.pid == pid), None)

    def used_by(self, pid: int) -> set[int]:
        """The indices of the GPUs on which a process computes; none where NVML does not tell."""
        indices = range(len(self._handles))
        return {i for i in indices if any(process.pid == pid for process in self._processes(i))}

    def holders(self, index: int = 0) -> list[Holder]:
        """The processes that compute on a GPU, those with the most memory first; none where NVML
        does not tell."""
        found = [
            Holder(pid=process.pid, name=_process_name(process.pid), memory=process.usedGpuMemory)
            for process in self._processes(index)
        ]
        return sorted(found, key=lambda holder: -(holder.memory or 0))

    def _find(self, selection: str | None) -> None:
        self._selection = selection
        try:
            self._handles = visible_handles(selection)
        except pynvml.NVMLError as error:
            self.note = f"n/a ({error})"
        if not self._handles and not self.note:
            self.note = "none visible (CUDA_VISIBLE_DEVICES)"

    def _processes(self, index: int) -> list[Any]:
        if index >= len(self._handles):
            return []
        handle = self._handles[index]
        return list(ask(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle)) or [])


def visible_handles(selection: str | None) -> list[Any]:
    """NVML handles in the order of CUDA_VISIBLE_DEVICES (`selection`), matched by UUID.

    CUDA stops at the first entry it does not know, and so does this. Numbers are NVML's own order,
    which is CUDA's too under CUDA_DEVICE_ORDER=PCI_BUS_ID; the worker sets that.
    """
    handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    if selection is None:
        return handles
    uuids = [words(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    chosen: list[str] = []
    for entry in (part.strip() for part in selection.split(",")):
        if entry.isdigit() and int(entry) < len(uuids):
            uuid = uuids[int(entry)]
        elif entry.startswith("GPU-"):  # any unambiguous prefix will do, as for CUDA
            matches = [uuid for uuid in uuids if uuid.startswith(entry)]
            if len(matches) != 1:
                break
            uuid = matches[0]
        elif entry.startswith("MIG-"):
            uuid = entry
        else:
            break
        chosen.append(uuid)
    return [pynvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in chosen]


def _sample(index: int, handle: Any) -> Gpu:
    asked = Asking()
    memory = asked(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    use = asked(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    power = asked(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
    limit = asked(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle))
    errors = asked(
        lambda: pynvml.nvmlDeviceGetTotalEccErrors(
            handle, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC
        )
    )
    # Rows remapped for corrected errors, for uncorrected ones, whether any wait, whether it failed.
    rows = asked(lambda: pynvml.nvmlDeviceGetRemappedRows(handle))
    return Gpu(
        index=index,
        name=words(asked(lambda: pynvml.nvmlDeviceGetName(handle)) or "GPU"),
        uuid=words(asked(lambda: pynvml.nvmlDeviceGetUUID(handle)) or ""),
        utilization=use.gpu if use is not None else None,
        memory_used=memory.used if memory is not None else None,
        memory_total=memory.total if memory is not None else None,
        temperature=asked(
            lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
        ),
        power=power / 1000 if power is not None else None,
        power_limit=limit / 1000 if limit is not None else None,
        throttling=_throttling(asked, handle),
        memory_errors=errors,
        remapped_rows=rows[1] if rows is not None else None,
        remap_pending=bool(rows[2]) if rows is not None else None,
        lost=asked.lost,
    )


def _throttling(asked: Asking, handle: Any) -> list[str] | None:
    """Older drivers know the question by its older name only."""
    reasons = asked(lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    if reasons is None:
        reasons = asked(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
    if reasons is None:
        return None
    return [name for name, bit in THROTTLES.items() if reasons & bit]


def _process_name(pid: int) -> str:
    told = ask(lambda: pynvml.nvmlSystemGetProcessName(pid))
    return one_line(words(told).replace("\\", "/").rpartition("/")[2], limit=40) if told else ""
