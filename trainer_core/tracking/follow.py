"""The process that tells a tracker of a run: it follows events.jsonl from where the one before it
left off until the run has ended."""

import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Protocol

from filelock import Timeout

from trainer_core.errors import EXIT_FAILED, EXIT_FINISHED, UserError
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.runs.events import Event, decode
from trainer_core.runs.folder import RunFolder, run_name
from trainer_core.runs.jsonl import last_line, read_lines
from trainer_core.runs.status import is_alive, read_status
from trainer_core.text import one_line
from trainer_core.tracking.hiding import without_secrets
from trainer_core.tracking.rows import ending_of, row_of
from trainer_core.tracking.told import read_told, telling_lock, write_told
from trainer_core.tracking.tracker import About, Ending, Tracker, open_tracker

# How often new events are looked for.
LOOK_SECONDS = 0.5
# How much is told before that is written down, at most.
BATCH_EVENTS, BATCH_SECONDS = 1000, 5.0
# How long the last event may take to come when the job is gone: the supervisor writes it then.
LAST_WORDS_SECONDS = 2.0
# How long to wait for a process that tells the same; it was of the run's last attempt.
WAIT_SECONDS = 600.0
_PROBLEM = 300


class Lines(Protocol):
    """What can be read line by line."""

    def readline(self) -> bytes:
        """The next line; nothing at the end."""


def main(arguments: Sequence[str], job: Lines) -> int:
    """Tell the tracker `arguments[0]` of the run in `arguments[1]`; returns the exit status. `job`
    is read for the run's last event, and is at its end when the job is gone; from then on it may
    take `arguments[2]` seconds, if that is given."""
    name, folder = arguments[0], RunFolder(Path(arguments[1]))
    if hasattr(os, "nice"):
        os.nice(10)  # the training comes first
    rest = float(arguments[2]) if len(arguments) > 2 else None
    lock = telling_lock(folder, name)
    try:
        lock.acquire(timeout=WAIT_SECONDS, poll_interval=0.2)
        _Telling(name, folder, _Job(job, rest)).run()
    except Exception as error:
        print(without_secrets(traceback.format_exc()), file=sys.stderr, flush=True)
        said = "another process is still telling it" if isinstance(error, Timeout) else str(error)
        said = said or type(error).__name__
        told = read_told(folder, name)
        told.problem = one_line(without_secrets(said), limit=_PROBLEM)
        with suppress(OSError):
            write_told(folder, name, told)
        return EXIT_FAILED
    return EXIT_FINISHED


def about(folder: RunFolder) -> About:
    """The run in `folder`. Raises UserError where it was never planned."""
    resolved = read_resolved(folder.resolved)
    if resolved is None:
        raise UserError(f"{folder.path} holds no run that has begun to train")
    config, status = resolved.config, read_status(folder)
    return About(
        folder=folder.path,
        name=status.run if status is not None else folder.path.name,
        title=config.run.name or run_name(config.model.base),
        project=config.tracking.project,
        config=resolved.values(),
    )


class _Job:
    """Listens to the job: `ending` is how it says that the run ended, and `over` is set with that,
    or when the job is gone. This process ends `rest` seconds later, whatever it does."""

    def __init__(self, stream: Lines, rest: float | None) -> None:
        self.over = threading.Event()
        self.ending: Ending | None = None
        self._stream = stream
        self._rest = rest
        threading.Thread(target=self._listen, name="job", daemon=True).start()

    def _listen(self) -> None:
        last = _event(self._stream.readline())
        self.ending = ending_of(last) if last is not None else None
        self.over.set()
        if self._rest is not None:
            time.sleep(self._rest)
            print(f"not done {self._rest:.0f} s after the run", file=sys.stderr, flush=True)
            os._exit(EXIT_FAILED)


class _Telling:
    def __init__(self, name: str, folder: RunFolder, job: _Job) -> None:
        self._name = name
        self._folder = folder
        self._job = job
        self._told = read_told(folder, name)
        self._told.problem, self._told.ended = "", False

    def run(self) -> None:
        """Tell everything."""
        tracker = open_tracker(self._name, about(self._folder), self._told.notes)
        self._told.notes = tracker.notes
        self._write_down()
        try:
            ending = self._follow(tracker)
        except Exception:
            with suppress(Exception):  # what it took before is not told again
                tracker.flush()
                self._write_down()
            raise
        tracker.finish(ending)
        self._told.ended = True
        self._write_down()

    def _follow(self, tracker: Tracker) -> Ending:
        """Tell all events there are, and those that come; returns how the run ended."""
        last: Event | None = None
        waited = 0.0
        while True:
            over = self._job.over.is_set()  # asked first: all that came before is read below
            newest = self._tell_new(tracker)
            if newest is not None:
                last, waited = newest, 0.0
                continue
            last = last or _newest(self._folder)  # told before, by a process that did not end it
            ending = ending_of(last) if last is not None else None
            if ending is None and over:
                ending = self._job.ending
            if ending is not None:
                return ending
            if waited >= LAST_WORDS_SECONDS:
                return Ending("running" if is_alive(self._folder) else "killed")
            if over:
                time.sleep(LOOK_SECONDS)
                waited += LOOK_SECONDS
            else:
                self._job.over.wait(LOOK_SECONDS)

    def _tell_new(self, tracker: Tracker) -> Event | None:
        """Tell the next events; returns the last of them."""
        told = self._told
        last: Event | None = None
        until = time.monotonic() + BATCH_SECONDS
        for line, offset in islice(read_lines(self._folder.events, told.offset), BATCH_EVENTS):
            event = _event(line)
            row = row_of(event, told.steps) if event is not None else None
            if event is not None and row is not None:
                tracker.log(row)
                told.steps[event.type] = row.step
            last, told.offset = event or last, offset
            if time.monotonic() > until:
                break
        if last is not None:
            tracker.flush()
            self._write_down()
        return last

    def _write_down(self) -> None:
        write_told(self._folder, self._name, self._told)


def _newest(folder: RunFolder) -> Event | None:
    line = last_line(folder.events)
    return _event(line) if line is not None else None


def _event(line: bytes) -> Event | None:
    """None for what a newer version wrote, perhaps."""
    try:
        return decode(line)
    except ValueError:
        return None
