"""A sample of the machine: CPU, memory, disk, and this process with its children."""

from pathlib import Path

import psutil
from pydantic import BaseModel

from trainer_core.hardware.gpus import Gpu, GpuReader


class MachineSample(BaseModel):
    """Percent, bytes. `process_ram` counts the sampling process and its children; `disk_free` is
    what may still be written, which can be less than what is not used."""

    cpu: float
    ram_used: int
    ram_total: int
    process_ram: int
    disk_used: int
    disk_total: int
    disk_free: int = 0
    gpus: list[Gpu] = []
    gpu_note: str = ""


class MachineSampler:
    """Takes samples without waiting: CPU use is measured since the sample before."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._gpus = GpuReader()
        self._process = psutil.Process()
        psutil.cpu_percent(None)

    def sample(self) -> MachineSample:
        """The machine now."""
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(str(self._disk))
        return MachineSample(
            cpu=psutil.cpu_percent(None),
            ram_used=memory.total - memory.available,
            ram_total=memory.total,
            process_ram=self._process_ram(),
            disk_used=disk.used,
            disk_total=disk.total,
            disk_free=disk.free,
            gpus=self._gpus.read(),
            gpu_note=self._gpus.note,
        )

    def _process_ram(self) -> int:
        total = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total
