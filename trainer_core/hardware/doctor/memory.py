"""RAM, swap, how much of them we may have, and the memory that processes share."""

import shutil
import sys
from collections.abc import Iterator

import psutil

from trainer_core.hardware.doctor.control_group import allowance
from trainer_core.hardware.doctor.finding import Finding, note, ok, warning
from trainer_core.hardware.doctor.surroundings import Surroundings
from trainer_core.text import size

AREA = "memory"
SHARED = "dev/shm"
GIB = 1 << 30
# torch and the libraries take about this before a model is loaded.
LITTLE_RAM = 2 * GIB
ENOUGH_WITHOUT_SWAP = 16 * GIB
SWAP_IN_USE = 0.5
# Docker gives 64 MiB; NCCL and workers that load data need more.
LITTLE_SHARED = 1 * GIB


def look(place: Surroundings) -> Iterator[Finding]:
    """RAM, then swap, then the control group, then /dev/shm."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    yield _ram(memory.total, memory.available)
    yield _swap(swap.total, swap.used, memory.total)
    limit = allowance(place).memory
    if limit is not None and limit < memory.total:
        yield warning(
            AREA,
            f"Only {size(limit)} of the {size(memory.total)} of RAM are allowed here (control "
            "group); whatever takes more is killed.",
            "Choose the model for the smaller number, or raise it: docker run --memory, "
            "sbatch --mem, MemoryMax= of the unit.",
        )
    if sys.platform == "linux":
        yield _shared(_size_of_shared_memory(place))


def _ram(total: int, available: int) -> Finding:
    words = f"{size(available)} of {size(total)} of RAM are free"
    if available < LITTLE_RAM:
        return warning(
            AREA,
            f"{words}, and the libraries alone take about {size(LITTLE_RAM)}.",
            "End what else takes memory.",
            "ps aux --sort=-rss | head",
        )
    return ok(AREA, f"{words}.")


def _swap(total: int, used: int, ram: int) -> Finding:
    if total == 0 and ram < ENOUGH_WITHOUT_SWAP:
        return note(
            AREA,
            f"There is no swap beside {size(ram)} of RAM: when they are full, the system kills.",
            "Add a swap file, or keep batches small.",
        )
    if total and used / total > SWAP_IN_USE:
        return note(
            AREA,
            f"{size(used)} of {size(total)} of swap are in use; what is swapped out is slow.",
            "End what else takes memory.",
            "ps aux --sort=-rss | head",
        )
    return ok(AREA, f"{size(total)} of swap." if total else "No swap; the RAM is large.")


def _size_of_shared_memory(place: Surroundings) -> int | None:
    try:
        return shutil.disk_usage(place.root / SHARED).total
    except OSError:
        return None


def _shared(total: int | None) -> Finding:
    if total is None:
        return warning(
            AREA,
            f"/{SHARED} is missing; processes that share tensors fail.",
            "Mount it, or start the container without hiding it.",
            "sudo mount -t tmpfs -o rw,nosuid,nodev,size=50% tmpfs /dev/shm",
        )
    if total < LITTLE_SHARED:
        return warning(
            AREA,
            f"/{SHARED} holds only {size(total)}; several GPUs or loading processes need more.",
            "Start the container with --shm-size=8g, or enlarge it:",
            "sudo mount -o remount,size=50% /dev/shm",
        )
    return ok(AREA, f"/{SHARED} holds {size(total)}.")
