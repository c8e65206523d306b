"""Room where runs, models, the cache and temporary files go."""

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from trainer_core.hardware.doctor.finding import Finding, ok, problem, warning
from trainer_core.hardware.doctor.surroundings import Surroundings, short_path
from trainer_core.text import size

AREA = "disk"
GIB = 1 << 30
# With less than this nothing works: not a checkpoint, not even a log.
NOTHING = GIB // 2
FEW_FILES = 10_000


@dataclass(frozen=True)
class Use:
    """What goes where, the bytes below which it is tight, and how to send it elsewhere."""

    what: str
    path: Path
    tight: int
    elsewhere: str
    command: str = ""


def look(_: Surroundings) -> Iterator[Finding]:
    """One finding a disk."""
    disks: dict[int, list[Use]] = defaultdict(list)
    for use in uses():
        disks[nearest(use.path).stat().st_dev].append(use)
    for shared in disks.values():
        folder = nearest(shared[0].path)
        usage = shutil.disk_usage(folder)
        yield judge(shared, usage.free, usage.total)
        yield from _files(folder)


def uses() -> list[Use]:
    """What a run writes."""
    models = os.environ.get("HF_HUB_CACHE") or os.environ.get("HF_HOME")
    general = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [
        Use("runs", Path.cwd() / "runs", 5 * GIB, "--output puts a run elsewhere"),
        Use(
            "models",
            Path(models).expanduser() if models else general / "huggingface",
            10 * GIB,
            "HF_HOME names another place for models",
            "export HF_HOME=/place/with/room/huggingface",
        ),
        Use(
            "the cache",
            platformdirs.user_cache_path("backprop", appauthor=False),
            2 * GIB,
            "XDG_CACHE_HOME names another place for the cache",
            "export XDG_CACHE_HOME=/place/with/room/cache",
        ),
        Use(
            "temporary files",
            Path(tempfile.gettempdir()),
            1 * GIB,
            "TMPDIR names another place for temporary files",
            "export TMPDIR=/place/with/room/tmp",
        ),
    ]


def nearest(path: Path) -> Path:
    """`path`, or the folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def judge(shared: list[Use], free: int, total: int) -> Finding:
    """Whether a disk with `free` bytes is enough for what goes there."""
    names = [use.what for use in shared]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    place = short_path(nearest(shared[0].path))
    words = f"{size(free)} of {size(total)} are free at {place} for {listed}"
    tight = [use for use in shared if free < use.tight]
    if not tight:
        return ok(AREA, f"{words}.")
    wanted = max(use.tight for use in tight)
    hint = f"Make room, {size(wanted)} or more; or {'; '.join(use.elsewhere for use in tight)}."
    command = next((use.command for use in tight if use.command), "")
    worst = problem if free < NOTHING else warning
    return worst(AREA, f"Only {words}.", hint, command)


def _files(folder: Path) -> Iterator[Finding]:
    """A disk can be full of files, and not of bytes."""
    if not hasattr(os, "statvfs"):
        return
    state = os.statvfs(folder)
    if state.f_files and state.f_favail < FEW_FILES:
        yield warning(
            AREA,
            f"Only {state.f_favail:,} more files fit on the disk of {short_path(folder)} (inodes).",
            "Delete folders with many small files there.",
            f"df -i {short_path(folder)}",
        )
