"""What the shell that we were started from allows a process: ulimit."""

import sys
from collections.abc import Iterator

from trainer_core.hardware.doctor.finding import Finding, note, ok, warning
from trainer_core.hardware.doctor.surroundings import Surroundings
from trainer_core.text import size

AREA = "limits"
# Data in many files, a socket for each client, and libraries that open dozens.
FILES = 1024
UNLIMITED = -1


def look(place: Surroundings) -> Iterator[Finding]:
    """Open files, address space, core files, locked memory."""
    if sys.platform == "win32":
        return
    import resource

    files, files_at_most = resource.getrlimit(resource.RLIMIT_NOFILE)
    space, space_at_most = resource.getrlimit(resource.RLIMIT_AS)
    core, _ = resource.getrlimit(resource.RLIMIT_CORE)
    locked, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    found = [
        *_files(files, files_at_most),
        *_space(space, space_at_most),
        *_core(core, place),
        *_locked(locked, place),
    ]
    yield from found
    if not found:
        yield ok(
            AREA,
            f"{files:,} open files, address space {_bytes(space)}, core files {_bytes(core)}, "
            f"locked memory {_bytes(locked)}.",
        )


def _files(soft: int, hard: int) -> list[Finding]:
    if soft == UNLIMITED or soft >= FILES:
        return []
    wanted = 4096 if hard == UNLIMITED else min(4096, hard)
    return [
        warning(
            AREA,
            f"Only {soft:,} files may be open at once; data in many files needs more.",
            "Raise it in this shell, before a run."
            if wanted > soft
            else "Raise it in /etc/security/limits.conf, or ask who looks after the machine.",
            f"ulimit -n {wanted}" if wanted > soft else "",
        )
    ]


def _space(soft: int, hard: int) -> list[Finding]:
    if soft == UNLIMITED:
        return []
    return [
        warning(
            AREA,
            f"The address space is limited to {size(soft)}; CUDA and memory-mapped models take far "
            "more of it than of memory.",
            "Lift it in this shell, before a run."
            if hard == UNLIMITED
            else "Lift it in /etc/security/limits.conf, or ask who looks after the machine.",
            "ulimit -v unlimited" if hard == UNLIMITED else "",
        )
    ]


def _core(soft: int, place: Surroundings) -> list[Finding]:
    """A core file is as large as the process; one that is piped to a program is that one's care."""
    pattern = place.read("proc/sys/kernel/core_pattern") or ""
    if soft == 0 or pattern.startswith("|"):
        return []
    return [
        note(
            AREA,
            f"A process that crashes may leave a core file ({_bytes(soft)}), as large as its "
            "memory.",
            "To save the disk, turn it off in this shell.",
            "ulimit -c 0",
        )
    ]


def _locked(soft: int, place: Surroundings) -> list[Finding]:
    """InfiniBand pins what it sends; nothing else here locks memory."""
    cards = place.root / "sys/class/infiniband"
    if soft == UNLIMITED or not (cards.is_dir() and any(cards.iterdir())):
        return []
    return [
        warning(
            AREA,
            f"Only {size(soft)} of memory may be locked, and the InfiniBand here needs more for "
            "runs on several machines.",
            "Set memlock to unlimited in /etc/security/limits.conf, and log in again.",
            "ulimit -l unlimited",
        )
    ]


def _bytes(soft: int) -> str:
    if soft == 0:
        return "off"
    return "unlimited" if soft == UNLIMITED else size(soft)
