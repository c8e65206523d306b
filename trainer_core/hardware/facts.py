"""What this machine has that planning asks for."""

import os
from functools import cache
from pathlib import Path

import psutil
from pydantic import BaseModel

from trainer_core.hardware.doctor.control_group import allowance
from trainer_core.hardware.doctor.surroundings import Surroundings
from trainer_core.hardware.gpus import Gpu, GpuReader


class MachineFacts(BaseModel):
    """The machine as planning sees it. Memory in bytes: `ram_free` is what a new process may take,
    `gpu_used` what others take of the first GPU."""

    cores: int
    ram: int
    ram_free: int = 0
    gpus: list[Gpu] = []
    gpu_note: str = ""
    gpu_used: int = 0
    gpu_bfloat16: bool = True
    cpu_bfloat16: bool = False


@cache
def machine_facts() -> MachineFacts:
    """Read once a process."""
    reader = GpuReader()
    memory = psutil.virtual_memory()
    allowed = allowance(Surroundings()).memory
    gpus = reader.read()
    return MachineFacts(
        cores=len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
        ram=memory.total,
        ram_free=min(memory.available, allowed or memory.available),
        gpus=gpus,
        gpu_note=reader.note,
        gpu_used=(gpus[0].memory_used or 0) if gpus else 0,
        gpu_bfloat16=reader.computes_bfloat16(),
        cpu_bfloat16=_cpu_has_bfloat16(),
    )


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware (AMX, AVX512-BF16); elsewhere it is slow."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
