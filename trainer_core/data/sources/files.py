"""Opening files that a config names, and telling whether they changed."""

import hashlib
import json
import os
import stat
import time
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

import platformdirs

from trainer_core.errors import UserError
from trainer_core.files import write_atomically

# A file written within this time of being hashed may change again without a new time stamp.
SETTLED_SECONDS = 2.0


def opened(path: str) -> BufferedReader:
    """A regular file, for reading. Raises UserError saying what stands in the way."""
    try:
        # O_NONBLOCK: a pipe without a writer would hold us here before we can refuse it.
        number = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
    except (OSError, ValueError) as error:
        what = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
        reason = getattr(error, "strerror", None) or str(error)
        why = "" if isinstance(error, FileNotFoundError) else f": {reason}"
        raise UserError(
            f"the data file {path} {what}{why}", hint="Check the path, and that you may read it."
        ) from None
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise UserError(f"the data file {path} is {what}", hint="Name a file with rows.")
    return os.fdopen(number, "rb")


def content_fingerprint(path: str) -> str:
    """A hash of the file's bytes, remembered for as long as its size and times stay the same."""
    with opened(path) as file:
        facts = os.fstat(file.fileno())
        key = f"{os.path.abspath(path)}|{facts.st_ino}|{facts.st_size}|{facts.st_mtime_ns}"  # noqa: PTH100
        note = (
            platformdirs.user_cache_path("backprop", appauthor=False)
            / "fingerprints"
            / f"{hashlib.sha256(key.encode(errors='surrogateescape')).hexdigest()[:32]}.json"
        )
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(note.read_text())["sha256"])
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if time.time() - facts.st_mtime > SETTLED_SECONDS:
        with suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(note, json.dumps({"format": 1, "sha256": digest}).encode())
    return digest


def is_file(path: Path) -> bool:
    """Whether a path names a regular file; never raises."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
