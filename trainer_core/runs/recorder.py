"""The recorder: numbers each event, writes it to the run folder, then passes it on.

Disk first, listeners second: what a client misses it reads again from events.jsonl.
"""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from trainer_core.runs.events import (
    Event,
    Failed,
    Finished,
    Metrics,
    Reply,
    Stage,
    State,
    decode,
    encode,
)
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import AppendFile, last_line
from trainer_core.runs.metrics_files import MetricsFiles

Listener = Callable[[Event], None]

# What waits for room on a full disk. At about 300 bytes an event this is a few megabytes.
MAX_UNWRITTEN = 20_000


class Recorder:
    """Writes a job's events. Safe to call from any thread; never blocks on a listener."""

    def __init__(self, folder: RunFolder, listener: Listener) -> None:
        self._folder = folder
        self._listener = listener
        self._lock = threading.RLock()
        self._file = AppendFile(folder.events)
        self._metrics = MetricsFiles(folder)
        self._unwritten: deque[Event] = deque(maxlen=MAX_UNWRITTEN)
        self._in_trouble = False
        self._ended = False
        self.last = last_number(folder.events)
        # Where the job is, for whoever records beside it (hardware samples carry it).
        self.step = 0
        self.stage = ""
        self.hardware_seconds = 2.0

    def record(self, event: Event) -> None:
        """Number `event`, write it, pass it on. With a full disk it waits here for room.

        The end of a job is its last event: an error may come at the same time as a stop, and a stop
        before the first event. It is passed on even if it cannot be written, unnumbered then.
        """
        with self._lock:
            if self._ended:
                return
            self._ended = isinstance(event, Finished | Failed)
            self._unwritten.append(event)
            trouble = ""
            try:
                while self._unwritten:
                    trouble = self._write_first() or trouble
            except OSError as error:
                trouble = f"events cannot be written: {error.strerror}"
            self._say(trouble)
            if self._ended and event in self._unwritten:
                event.n = 0
                self._listener(event)

    def say(self, reply: Reply) -> None:
        """Pass a reply on without writing it anywhere."""
        self._listener(reply)

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._file.close()
            self._metrics.close()

    def _write_first(self) -> str:
        """Write and pass on what waits longest. Raises OSError if it cannot be written; returns
        what else went wrong."""
        event = self._unwritten[0]
        event.n = self.last + 1
        self._file.append(encode(event))
        self.last += 1
        self._unwritten.popleft()  # written: an interrupt from here on must not repeat it
        if isinstance(event, Metrics):
            self.step = event.step
        elif isinstance(event, Stage):
            self.stage = event.stage
        trouble = ""
        try:
            self._metrics.add(event)
        except OSError as error:  # these files can be made again from the events
            trouble = f"metrics cannot be written: {error.strerror}"
        self._listener(event)
        return trouble

    def _say(self, trouble: str) -> None:
        """Tell listeners when trouble begins, and when it is over."""
        if trouble and not self._in_trouble:
            self._listener(State(message=trouble))
        elif self._in_trouble and not trouble:
            self._listener(State(message="events are written again", trouble=False))
        self._in_trouble = bool(trouble)


def last_number(events: Path) -> int:
    """The number of the last whole event in the file; 0 where there is none."""
    line = last_line(events)
    if line is None:
        return 0
    try:
        return decode(line).n
    except ValueError:
        return 0
