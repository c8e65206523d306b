"""How much memory this process has taken at most: of the GPU where there is one, else of RAM."""

import gc
import os
import sys
from pathlib import Path

import psutil
import torch

from trainer_core.hardware.gpus import GpuReader

# More than a CUDA context takes (800 MiB were measured on an H200) is another process's.
LARGEST_CONTEXT = 1 << 30


def measured_peak() -> int:
    """The peak since the process began or since `forget_peak`, in bytes: on a GPU what tensors took
    and the CUDA context, on a CPU the resident memory of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated()) + _context()
    return resident_peak()


def forget_peak() -> None:
    """Measure anew from here on, as far as the system can."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:  # not every container allows it: then the peak is that of the whole process
            return


def let_go() -> None:
    """Give back what nobody holds any more: a trainer and its optimizer hold one another."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def forget_embeddings() -> None:
    """Let go of a model that was trained: bitsandbytes keeps each embedding for good, to know that
    its state has 32 bits."""
    bitsandbytes = sys.modules.get("bitsandbytes")
    if bitsandbytes is not None:
        bitsandbytes.optim.GlobalOptimManager.get_instance().initialize()


def _context() -> int:
    """What CUDA itself takes, in bytes: what is used of the GPU beyond what torch holds, by this
    process where NVML tells, else by all."""
    used = GpuReader().taken_by(os.getpid(), torch.cuda.current_device())
    if used is None:
        free, total = torch.cuda.mem_get_info()
        used = total - free
    return int(min(max(0, used - torch.cuda.memory_reserved()), LARGEST_CONTEXT))


def resident_peak() -> int:
    """The most RAM that was resident at once, in bytes; where the system does not tell, what is
    now."""
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    info = psutil.Process().memory_info()
    return int(getattr(info, "peak_wset", info.rss))
