"""The flight record: what a job was just doing, in a small file that outlives its sudden death.

The job overwrites it in place before each micro-batch, without waiting for the disk: what was
written stays in the system's cache when the process is killed. The supervisor reads it, to see
whether the job still lives and, when it does not, what it died of.
"""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from trainer_core.runs.folder import RunFolder

# A page: one write of it is whole or not there.
_SIZE = 4096


class Flight:
    """Writes the record. A failure to write is none of the job's business."""

    def __init__(self, folder: RunFolder) -> None:
        self._lock = threading.Lock()
        self._facts: dict[str, Any] = {}
        try:
            self._file = os.open(folder.flight, os.O_WRONLY | os.O_CREAT, 0o644)
        except OSError:
            self._file = -1

    def note(self, **facts: Any) -> None:
        """Take facts (JSON values) down, beside those noted before, with the time of this moment
        as `monotonic`, in seconds of the system's clock that all processes share."""
        with self._lock:
            self._facts.update(facts)
            line = json.dumps({"monotonic": time.monotonic(), "pid": os.getpid(), **self._facts})
            data = line.encode()[: _SIZE - 1]
            try:
                os.lseek(self._file, 0, os.SEEK_SET)
                os.write(self._file, data.ljust(_SIZE - 1) + b"\n")
            except OSError:
                return

    def close(self) -> None:
        """Close the file; it stays."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1


def read_flight(folder: RunFolder) -> dict[str, Any]:
    """What was noted last; empty where nothing can be read."""
    try:
        facts = json.loads(Path(folder.flight).read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
