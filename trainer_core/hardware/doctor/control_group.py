"""How much memory and CPU time our control group may have (Linux, versions 1 and 2).

A container, a systemd unit or a batch job has less than the machine, and psutil does not say so.
Every group above ours counts too. Files: the kernel's Documentation/admin-guide/cgroup-v2.rst and
cgroup-v1/memory.rst.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pydantic import BaseModel

from trainer_core.hardware.doctor.surroundings import Surroundings

BASE = "sys/fs/cgroup"
# Version 1 writes "no limit" as a number near 2^63, rounded to pages.
NO_LIMIT = 1 << 60


class Allowance(BaseModel):
    """Bytes and cores; None where there is no limit."""

    memory: int | None = None
    cores: float | None = None


def allowance(place: Surroundings) -> Allowance:
    """The tightest limits of our control groups."""
    memory: list[int] = []
    cores: list[float] = []
    for controllers, path in control_groups(place):
        if not controllers:  # version 2
            for folder in upwards(BASE, path):
                memory += _numbers(place, f"{folder}/memory.max", f"{folder}/memory.high")
                cores += _share(place.read(f"{folder}/cpu.max"))
        if "memory" in controllers:
            for folder in upwards(f"{BASE}/memory", path):
                memory += _numbers(place, f"{folder}/memory.limit_in_bytes")
        if "cpu" in controllers:
            for folder in upwards(f"{BASE}/{','.join(controllers)}", path):
                quota = place.read(f"{folder}/cpu.cfs_quota_us") or ""
                period = place.read(f"{folder}/cpu.cfs_period_us") or ""
                cores += _share(f"{quota} {period}")
    return Allowance(memory=min(memory, default=None), cores=min(cores, default=None))


def control_groups(place: Surroundings) -> list[tuple[list[str], str]]:
    """The controllers (none for version 2) and the path of each group that we are in."""
    lines = (place.read("proc/self/cgroup") or "").splitlines()
    parts = [line.split(":", 2) for line in lines]
    return [
        ([name for name in part[1].split(",") if name], part[2]) for part in parts if len(part) == 3
    ]


def upwards(base: str, path: str) -> Iterator[Path]:
    """The folder of a group and of those above it. Inside a container the path may be one of the
    host's, that is not mounted; what is then in `base` itself is ours."""
    inside = PurePosixPath(path.lstrip("/"))
    for part in (inside, *inside.parents):
        if ".." not in part.parts:
            yield Path(base) / part


def _numbers(place: Surroundings, *files: str) -> list[int]:
    """What is written in the files; `max`, and no file, is no limit."""
    words = [(place.read(file) or "").strip() for file in files]
    return [int(word) for word in words if word.isdecimal() and int(word) < NO_LIMIT]


def _share(words: str | None) -> list[float]:
    """`quota period` in microseconds as cores."""
    parts = (words or "").split()
    if len(parts) == 2 and all(part.isdecimal() for part in parts) and int(parts[1]) > 0:
        return [int(parts[0]) / int(parts[1])]
    return []
