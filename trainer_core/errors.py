"""What a user did or met: one sentence, a way out, and an exit status.

    BackpropError            exit status 1: a run failed
    ├── UserError            exit status 2: a mistake or a broken file; nothing was changed
    │   └── LockedError      exit status 2: another process has this run
    └── StoppedError         exit status 130: the user asked to stop

Anything else that escapes is our own bug.
"""

import errno
from pathlib import Path
from typing import Literal

EXIT_FINISHED = 0
EXIT_FAILED = 1
EXIT_USER = 2
EXIT_STOPPED = 130

# Why a job failed, for whoever wants to act on it; events and status.json carry it.
Cause = Literal["user", "error", "killed", "out-of-memory", "gpu", "crashed", "hung"]


class BackpropError(Exception):
    """An error that a person can act on.

    `message` says what happened, `where` names path:line if there is one, `hint` says what to do.
    """

    exit_status = EXIT_FAILED
    cause: Cause = "error"

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        sentence = f"{self.where}: {self.message}" if self.where else self.message
        if not self.hint:
            return sentence
        return f"{sentence.rstrip('.')}. {self.hint}"


class UserError(BackpropError):
    """A mistake in what was asked, or a file that cannot be used."""

    exit_status = EXIT_USER
    cause = "user"


class LockedError(UserError):
    """The run folder is in use by a living process."""


class StoppedError(BackpropError):
    """The user asked the job to end before its work was done."""

    exit_status = EXIT_STOPPED


def no_room(error: OSError, folder: Path) -> BackpropError:
    """What to say where nothing more can be written to a folder of the cache."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        what, way = f"the disk is full: {folder} has no room for more", "Make room there, or name"
    else:
        what, way = f"{folder} cannot be written: {error.strerror or error}", "Mend that, or name"
    return BackpropError(what, hint=f"{way} another place in XDG_CACHE_HOME.")
