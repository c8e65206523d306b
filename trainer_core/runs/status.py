"""status.json: where a run stands, replaced atomically; whether it lives, only the lock says."""

import errno
import platform
import sys
import time
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from trainer_core.errors import Cause, LockedError
from trainer_core.files import write_atomically
from trainer_core.runs.folder import FORMAT, RunFolder

if sys.platform != "win32":
    import fcntl

Phase = Literal["starting", "running", "paused", "stopping", "finished", "stopped", "failed"]
ENDED: frozenset[str] = frozenset({"finished", "stopped", "failed"})


class Status(BaseModel):
    """What a list of runs and a client that wants to attach need to know. Of a run that failed,
    `cause` is its Failed.cause; whether it can be gone on with says runs/going_on.py."""

    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="strings")

    format: int = FORMAT
    run: str
    job: str = "train"
    state: Phase = "starting"
    stage: str = ""
    model: str = ""
    data: str = ""
    step: int = 0
    total_steps: int = 0
    loss: float | None = None
    eval_loss: float | None = None
    seconds_left: float | None = None
    host: str = ""
    pid: int = 0
    process_started: float = 0.0
    address: str = ""
    key_file: str = ""
    created: float = 0.0
    updated: float = 0.0
    ended: float | None = None
    message: str = ""
    cause: Cause | Literal[""] = ""
    exit_status: int | None = None


def new_status(run: str, job: str, model: str = "", data: str = "") -> Status:
    """A status for a job that this process is about to run."""
    import psutil  # only whoever runs a job needs it, and a list of runs should open at once

    process = psutil.Process()
    return Status(
        run=run,
        job=job,
        model=model,
        data=data,
        host=platform.node(),
        pid=process.pid,
        process_started=process.create_time(),
        created=time.time(),
    )


def write_status(folder: RunFolder, status: Status) -> None:
    """Replace status.json."""
    status.updated = time.time()
    write_atomically(folder.status, status.model_dump_json(indent=1).encode() + b"\n")


def read_status(folder: RunFolder) -> Status | None:
    """The status, or None where there is none that can be read."""
    try:
        return Status.model_validate_json(folder.status.read_bytes())
    except (OSError, ValidationError, ValueError):
        return None


def take_lock(folder: RunFolder, wait: float = 1.0) -> FileLock:
    """Hold the run folder until the returned lock is released or this process ends.

    `wait` seconds outlast a reader that is just probing the lock. Raises LockedError.
    """
    lock = FileLock(folder.lock, thread_local=False)
    try:
        lock.acquire(timeout=wait, poll_interval=0.02)
    except Timeout:
        raise LockedError(
            f"{folder.path} is in use by a running job",
            hint="Watch it with `backprop attach`, or end it with `backprop stop`.",
        ) from None
    return lock


def is_alive(folder: RunFolder) -> bool:
    """Whether a process holds the run, which only the lock can tell (never status.json)."""
    try:
        return _is_held(folder.lock)
    except OSError:
        return False  # none, or none that we may look at


def _is_held(path: Path) -> bool:
    if sys.platform == "win32":
        return path.exists() and _is_refused(path)
    else:  # noqa: RET505 - mypy knows by it which of the two it reads
        # FileLock would make the file, and the folder of a run that is just being removed, anew.
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno == errno.ENOSYS:  # FileLock has a way for such a file system
                    return _is_refused(path)
                raise
        return False


def _is_refused(path: Path) -> bool:
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def shown_state(folder: RunFolder, status: Status) -> str:
    """The state as a person should see it: a run that says it goes on, but has no process, died."""
    if status.state in ENDED:
        return status.state
    if status.host and status.host != platform.node():
        return status.state  # a lock on another machine cannot be seen from here
    return status.state if is_alive(folder) else "died"
