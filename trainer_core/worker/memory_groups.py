"""Whether the kernel killed a process of ours for want of memory, and what the limits were.

Only control groups tell (Linux; the kernel's Documentation/admin-guide/cgroup-v2.rst and
cgroup-v1/memory.rst): ours, and those above it, each count the processes that were killed.
"""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from trainer_core.hardware.doctor.control_group import BASE, NO_LIMIT, control_groups, upwards
from trainer_core.hardware.doctor.surroundings import Surroundings
from trainer_core.text import size


class MemoryGroup(BaseModel):
    """A control group: its `limit` and the most it ever used (`peak`), in bytes; how many processes
    the kernel killed in it for memory, and how often its limit was hit. None: it does not say."""

    path: str
    limit: int | None = None
    peak: int | None = None
    kills: int | None = None
    hits: int | None = None

    @property
    def words(self) -> str:
        """`its control group allows 2.0 GiB and used 2.0 GiB at most`; empty without a limit."""
        if self.limit is None:
            return ""
        used = f" and used {size(self.peak)} at most" if self.peak is not None else ""
        return f"its control group allows {size(self.limit)}{used}"


def memory_groups(place: Surroundings | None = None) -> list[MemoryGroup]:
    """The groups of this process that count memory, from its own to the root."""
    place = place or Surroundings()
    found: list[MemoryGroup] = []
    for controllers, path in control_groups(place):
        if not controllers:
            found += [group for folder in upwards(BASE, path) if (group := _new(place, folder))]
        elif "memory" in controllers:
            base = f"{BASE}/memory"
            found += [group for folder in upwards(base, path) if (group := _old(place, folder))]
    return found


def killed_since(before: Iterable[MemoryGroup], now: list[MemoryGroup]) -> MemoryGroup | None:
    """Our innermost group in which the kernel has killed since, `kills` being how many."""
    counted = {group.path: group.kills or 0 for group in before}
    for group in now:
        more = (group.kills or 0) - counted.get(group.path, group.kills or 0)
        if more > 0:
            tight = tightest(now)
            limits = {"limit": tight.limit, "peak": tight.peak} if tight is not None else {}
            return group.model_copy(update={"kills": more, **limits})
    return None


def tightest(groups: Iterable[MemoryGroup]) -> MemoryGroup | None:
    """The group with the lowest limit, if any has one."""
    limited = [(group.limit, group) for group in groups if group.limit is not None]
    return min(limited, key=lambda pair: pair[0])[1] if limited else None


def _new(place: Surroundings, folder: Path) -> MemoryGroup | None:
    """A group of version 2."""
    counts = _counts(place, f"{folder}/memory.events")
    if not counts:
        return None
    return MemoryGroup(
        path=f"/{folder}",
        limit=_number(place, f"{folder}/memory.max"),
        peak=_number(place, f"{folder}/memory.peak"),
        kills=counts.get("oom_kill"),
        hits=counts.get("max"),
    )


def _old(place: Surroundings, folder: Path) -> MemoryGroup | None:
    """A group of version 1; kernels before 4.13 do not count kills."""
    counts = _counts(place, f"{folder}/memory.oom_control")
    hits = _number(place, f"{folder}/memory.failcnt")
    if not counts and hits is None:
        return None
    return MemoryGroup(
        path=f"/{folder}",
        limit=_number(place, f"{folder}/memory.limit_in_bytes"),
        peak=_number(place, f"{folder}/memory.max_usage_in_bytes"),
        kills=counts.get("oom_kill"),
        hits=hits,
    )


def _counts(place: Surroundings, file: str) -> dict[str, int]:
    """`name number` lines."""
    words = [line.split() for line in (place.read(file) or "").splitlines()]
    return {word[0]: int(word[1]) for word in words if len(word) == 2 and word[1].isdecimal()}


def _number(place: Surroundings, file: str) -> int | None:
    """What a file says; `max`, and no file, is no number."""
    word = (place.read(file) or "").strip()
    return int(word) if word.isdecimal() and int(word) < NO_LIMIT else None
