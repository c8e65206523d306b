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
from trainer_core.runs.status import is_alive
from trainer_core.text import one_line
from trainer_core.tracking.hiding import without_secrets
from trainer_core.tracking.rows import ending_of, row_of
from trainer_core.tracking.told import Told, read_told, telling_lock, write_told
from trainer_core.tracking.tracker import About, Ending, Tracker, open_tracker

# How often new events are looked for.
LOOK_SECONDS = 0.5
# How many events are read before what was told is written down.
BATCH = 1000
# How long the last event may take to come when the job is gone: the supervisor writes it then.
LAST_WORDS_SECONDS = 2.0
# How long it may take to tell the rest when the run has ended.
REST_SECONDS = 300.0
_PROBLEM = 300


class Lines(Protocol):
    """What can be read line by line."""

    def readline(self) -> bytes:
        """The next line; nothing at the end."""


def main(arguments: Sequence[str], job: Lines) -> int:
    """Tell the tracker `arguments[0]` of the run in `arguments[1]`; returns the exit status. `job`
    is read for the run's last event, and is at its end when the job is gone."""
    name, folder = arguments[0], RunFolder(Path(arguments[1]))
    if hasattr(os, "nice"):
        os.nice(10)  # the training comes first
    lock = telling_lock(folder, name)
    told = Told()
    try:
        lock.acquire(timeout=REST_SECONDS, poll_interval=0.2)
        told = read_told(folder, name)
        told.problem, told.ended = "", False
        _Telling(name, folder, told, _Job(job)).run()
    except Exception as error:
        print(without_secrets(traceback.format_exc()), file=sys.stderr, flush=True)
        said = "another process is still telling it" if isinstance(error, Timeout) else str(error)
        said = said or type(error).__name__
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
    config = resolved.config
    return About(
        folder=folder.path,
        name=folder.path.name,
        title=config.run.name or run_name(config.model.base),
        project=config.tracking.project,
        config=resolved.values(),
    )


class _Job:
    """Listens to the job: `ending` is how it says that the run ended, and `over` is set with that,
    or when the job is gone. From then on there is only so much time left."""

    def __init__(self, stream: Lines) -> None:
        self.over = threading.Event()
        self.ending: Ending | None = None
        self._stream = stream
        threading.Thread(target=self._listen, name="job", daemon=True).start()

    def _listen(self) -> None:
        with suppress(ValueError):
            self.ending = ending_of(decode(self._stream.readline()))
        self.over.set()
        time.sleep(REST_SECONDS)
        print(f"not done {REST_SECONDS:.0f} s after the run's end", file=sys.stderr, flush=True)
        os._exit(EXIT_FAILED)


class _Telling:
    def __init__(self, name: str, folder: RunFolder, told: Told, job: _Job) -> None:
        self._name = name
        self._folder = folder
        self._told = told
        self._job = job

    def run(self) -> None:
        """Tell everything."""
        tracker = open_tracker(self._name, about(self._folder), self._told.notes)
        self._told.notes = tracker.notes
        self._write_down()
        tracker.finish(self._follow(tracker))
        self._told.ended = True
        self._write_down()

    def _follow(self, tracker: Tracker) -> Ending:
        """Tell all events there are, and those that come; returns how the run ended."""
        last: Event | None = None
        waited = 0.0
        while True:
            over = self._job.over.is_set()  # before looking: what came before that is read now
            newest = self._tell_new(tracker)
            if newest is not None:
                last, waited = newest, 0.0
                continue
            last = last or _newest(self._folder)  # told before, by a process that did not end it
            ending = (ending_of(last) if last is not None else None) or self._job.ending
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
        told, last = self._told, None
        for line, offset in islice(read_lines(self._folder.events, told.offset), BATCH):
            with suppress(ValueError):  # of a newer version, perhaps
                last = decode(line)
                row = row_of(last, told.steps)
                if row is not None:
                    tracker.log(row)
                told.event = last.n
            told.offset = offset
        if last is not None:
            tracker.flush()
            self._write_down()
        return last

    def _write_down(self) -> None:
        write_told(self._folder, self._name, self._told)


def _newest(folder: RunFolder) -> Event | None:
    line = last_line(folder.events)
    with suppress(ValueError):
        return decode(line) if line is not None else None
    return None
