"""Folders that must be writable: for sockets, the list of runs, the cache, and runs."""

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

from trainer_core.errors import UserError, no_room
from trainer_core.hardware.doctor.disk import nearest
from trainer_core.hardware.doctor.finding import Finding, ok, problem, warning
from trainer_core.hardware.doctor.surroundings import Surroundings, short_path

AREA = "folders"
# As in worker/platform.py, which makes the folder: a socket's path holds no more.
MAX_SOCKET_PATH = 100
SOCKET = "/12345678/socket"


def look(_: Surroundings) -> Iterator[Finding]:
    """The runtime folder, then state, cache and the folder for runs."""
    if sys.platform != "win32":
        yield _runtime()
    yield _writable(
        platformdirs.user_state_path("backprop", appauthor=False),
        "the list of runs",
        warning,
        "Without it runs are not listed; name another place.",
        "export XDG_STATE_HOME=/writable/place",
    )
    yield _writable(
        _cache(),
        "the cache",
        problem,
        "No data can be prepared; name another place.",
        "export XDG_CACHE_HOME=/writable/place",
    )
    yield _writable(
        Path.cwd() / "runs",
        "runs",
        warning,
        "Start runs from another folder, or name one with --output.",
    )


def require_cache() -> None:
    """Raises UserError where the cache cannot be written: no data could be prepared."""
    folder = _cache()
    error = _refusal(nearest(folder))
    if error is not None:
        told = no_room(error, folder)
        raise UserError(told.message, hint=told.hint)


def _cache() -> Path:
    return platformdirs.user_cache_path("backprop", appauthor=False)


def runtime_candidates() -> list[Path]:
    """Where a worker tries to make its socket, in order."""
    if sys.platform == "win32":
        return []
    runtime, name = os.environ.get("XDG_RUNTIME_DIR"), f"backprop-{os.getuid()}"
    first = [Path(runtime) / "backprop"] if runtime else []
    usual = dict.fromkeys((Path(tempfile.gettempdir()), Path("/tmp")))  # noqa: S108 - looked at
    return [*first, *(folder / name for folder in usual)]


def _runtime() -> Finding:
    refused = []
    for folder in runtime_candidates():
        reason = _unfit(folder)
        if not reason:
            break
        refused.append(f"{folder} ({reason})")
    else:
        return problem(
            AREA,
            f"There is no folder for the worker's socket: {', '.join(refused)}.",
            "Name a folder of your own with a short path.",
            "export XDG_RUNTIME_DIR=$(mktemp -d)",
        )
    if refused:
        return warning(
            AREA,
            f"The worker's socket goes to {folder}, because {refused[0]} cannot be used.",
            "It works; mend or unset XDG_RUNTIME_DIR or TMPDIR for the usual place.",
        )
    return ok(AREA, f"The worker's socket goes to {folder}.")


def _unfit(folder: Path) -> str:
    """Why a worker could not use `folder`; empty if it could."""
    if len(os.fsencode(folder)) + len(SOCKET) > MAX_SOCKET_PATH:
        return "its path is too long for a socket"
    if not folder.exists():
        parent = folder.parent
        return "" if parent.is_dir() and _can_write(parent) else "it cannot be made"
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or sys.platform == "win32" or info.st_uid != os.getuid():
        return "it is not a folder of this user"
    if info.st_mode & 0o077:
        return "others may enter it"
    return "" if _can_write(folder) else "it is not writable"


def _writable(
    folder: Path, what: str, worse: Callable[..., Finding], hint: str, command: str = ""
) -> Finding:
    if _can_write(nearest(folder)):
        return ok(AREA, f"{what.capitalize()} can be written ({short_path(folder)}).")
    return worse(AREA, f"The folder of {what}, {folder}, cannot be written.", hint, command)


def _can_write(folder: Path) -> bool:
    return _refusal(folder) is None


def _refusal(folder: Path) -> OSError | None:
    """Tried with a file that has no name and leaves nothing behind: permissions alone do not tell
    of read-only disks and quotas."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"backprop")
            file.flush()
    except OSError as error:
        return error
    return None
