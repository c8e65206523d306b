"""NVIDIA GPUs through NVML: what each one does now. A machine without them is not an error."""

import os
from collections.abc import Callable
from typing import Any

import pynvml
from pydantic import BaseModel

BFLOAT16_CAPABILITY = 8


class Gpu(BaseModel):
    """One GPU now. Memory in bytes, percent, °C, watts; what NVML does not tell is None."""

    index: int
    name: str
    uuid: str = ""
    utilization: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    temperature: float | None = None
    power: float | None = None
    power_limit: float | None = None


class GpuReader:
    """Reads the GPUs that this process may use, in CUDA's order.

    `note` says why there are none, in words for the screen.
    """

    def __init__(self) -> None:
        self.note = ""
        self._handles: list[Any] = []
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self.note = f"n/a ({error})"
            return
        try:
            self._handles = visible_handles(os.environ.get("CUDA_VISIBLE_DEVICES"))
        except pynvml.NVMLError as error:
            self.note = f"n/a ({error})"
        if not self._handles and not self.note:
            self.note = "none visible (CUDA_VISIBLE_DEVICES)"

    def read(self) -> list[Gpu]:
        """A sample of each GPU; one that fell off the bus has a name and nothing else."""
        return [_sample(index, handle) for index, handle in enumerate(self._handles)]

    def computes_bfloat16(self) -> bool:
        """Whether the first GPU multiplies bfloat16 in hardware: from capability 8.0 on."""
        if not self._handles:
            return False
        found = _ask(lambda: pynvml.nvmlDeviceGetCudaComputeCapability(self._handles[0]))
        return bool(found and found[0] >= BFLOAT16_CAPABILITY)

    def taken_by(self, pid: int, index: int = 0) -> int | None:
        """What a process takes of a GPU in bytes, its CUDA context included; None where NVML does
        not tell, as in a container that numbers its processes anew."""
        if index >= len(self._handles):
            return None
        handle = self._handles[index]
        found = _ask(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
        return next((process.usedGpuMemory for process in found if process.pid == pid), None)


def visible_handles(selection: str | None) -> list[Any]:
    """NVML handles in the order of CUDA_VISIBLE_DEVICES (`selection`), matched by UUID.

    CUDA stops at the first entry it does not know, and so does this. Numbers are NVML's own order,
    which is CUDA's too under CUDA_DEVICE_ORDER=PCI_BUS_ID; the worker sets that.
    """
    handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    if selection is None:
        return handles
    uuids = [_text(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
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
    memory = _ask(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    use = _ask(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    power = _ask(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
    limit = _ask(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle))
    return Gpu(
        index=index,
        name=_text(_ask(lambda: pynvml.nvmlDeviceGetName(handle)) or "GPU"),
        uuid=_text(_ask(lambda: pynvml.nvmlDeviceGetUUID(handle)) or ""),
        utilization=use.gpu if use is not None else None,
        memory_used=memory.used if memory is not None else None,
        memory_total=memory.total if memory is not None else None,
        temperature=_ask(
            lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
        ),
        power=power / 1000 if power is not None else None,
        power_limit=limit / 1000 if limit is not None else None,
    )


def _ask(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except pynvml.NVMLError:
        return None


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
