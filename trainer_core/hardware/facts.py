"""What this machine has that planning asks for."""

import os
from functools import cache
from pathlib import Path

import psutil
from pydantic import BaseModel

from trainer_core.hardware.gpus import Gpu, GpuReader


class MachineFacts(BaseModel):
    """The machine as planning sees it. Memory in bytes."""

    cores: int
    ram: int
    gpus: list[Gpu] = []
    gpu_note: str = ""
    cpu_bfloat16: bool = False


@cache
def machine_facts() -> MachineFacts:
    """Read once a process."""
    reader = GpuReader()
    return MachineFacts(
        cores=len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
        ram=psutil.virtual_memory().total,
        gpus=reader.read(),
        gpu_note=reader.note,
        cpu_bfloat16=_cpu_has_bfloat16(),
    )


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware (AMX, AVX512-BF16); elsewhere it is slow."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
