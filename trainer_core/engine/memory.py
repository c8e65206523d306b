"""How much memory this process has taken at most: of the GPU where there is one, else of RAM."""

import sys
from pathlib import Path

import psutil
import torch


def measured_peak() -> int:
    """The peak since the process began or since `forget_peak`, in bytes: on a GPU what tensors took
    and the CUDA context, on a CPU the resident memory of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated()) + _context()
    return _resident_peak()


def forget_peak() -> None:
    """Measure anew from here on, as far as the system can."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:  # not every container allows it: then the peak is that of the whole process
            return


def _context() -> int:
    """What CUDA itself takes, in bytes: what is used of the GPU by us beyond what torch holds."""
    free, total = torch.cuda.mem_get_info()
    used = total - free - torch.cuda.memory_reserved()
    others = 500 << 20  # more than a context takes is another process's
    return int(min(max(0, used), others))


def _resident_peak() -> int:
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    info = psutil.Process().memory_info()
    return int(getattr(info, "peak_wset", info.rss))
