"""The processes that tell trackers of a run: started by the job, which never waits for them while
it trains, and says once of each what it cannot do.

They have a session of their own, so that neither a terminal nor the supervisor ends them with the
job: they go on from the run folder, and end by themselves.
"""

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from trainer_core.errors import EXIT_FINISHED
from trainer_core.runs.control import Control
from trainer_core.runs.events import Failed, Finished, Notice, Stage, encode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.tracking.told import place_of, read_told
from trainer_core.worker import platform

# How long the end of a run waits for them; the stop of one, which someone waits for.
END_SECONDS = 10.0
STOP_SECONDS = 2.0
# How long they may go on by themselves after that.
REST_SECONDS = 300.0
# Like the worker, it imports nothing from the folder that it stands in.
TELLING = (sys.executable, "-P", "-m", "trainer_core.tracking")
WITHOUT = "The run goes on without it. To send what it missed, when the run has ended:"


class Trackers:
    """Those of one run, for as long as its job lives. They find the environment as it is now: a
    training that needs no network switches the hub off for itself."""

    def __init__(self, folder: RunFolder, recorder: Recorder, control: Control) -> None:
        self._folder = folder
        self._recorder = recorder
        self._control = control
        self._environment = dict(os.environ)
        self._watches: dict[str, threading.Thread] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, names: Sequence[str]) -> None:
        """Start a process for each tracker."""
        for name in dict.fromkeys(names):
            try:
                process = start_telling(self._folder, name, self._environment, REST_SECONDS)
            except OSError as error:
                self._say(name, f"cannot be told of the run: {error.strerror}", WITHOUT)
                continue
            watch = threading.Thread(target=self._watch, args=[name], name=name, daemon=True)
            self._processes[name], self._watches[name] = process, watch
            watch.start()

    def settle(self, ended: Finished | Failed) -> None:
        """The run has ended: give them a moment for the rest, and say whose was too short."""
        for process in self._processes.values():
            tell_the_end(process, ended)
        if self._watches:
            detail = f"the rest to {', '.join(self._watches)}"
            self._recorder.record(Stage(stage="saving", detail=detail))
        patience = STOP_SECONDS if self._control.stopping else END_SECONDS
        deadline = time.monotonic() + patience
        for name, watch in self._watches.items():
            watch.join(max(0.0, deadline - time.monotonic()))
            if watch.is_alive():
                missing = self._recorder.step - read_told(self._folder, name).step
                rest = f"the last {missing:,} steps" if missing > 0 else "how the run ended"
                self._say(
                    name, f"has not taken {rest} yet", "It goes on; if it does not get there:"
                )

    def _watch(self, name: str) -> None:
        status = self._processes[name].wait()
        if status != EXIT_FINISHED:
            problem = read_told(self._folder, name).problem
            self._say(name, problem or f"its process ended with status {status}", WITHOUT)

    def _say(self, name: str, problem: str, what_now: str) -> None:
        place = shlex.quote(str(self._folder.path))
        log = place_of(self._folder, name, "log")
        hint = f"{what_now} backprop track {place} --to {name} (details: {log})"
        self._recorder.record(Notice(message=f"{name}: {problem}", hint=hint))


def start_telling(
    folder: RunFolder,
    name: str,
    environment: Mapping[str, str] | None = None,
    rest: float | None = None,
) -> "subprocess.Popen[bytes]":
    """Start the process that tells a tracker of a run. Its stdin takes the run's last event, and it
    lives no longer than `rest` seconds after that."""
    output = place_of(folder, name, "log")
    output.parent.mkdir(exist_ok=True)
    command = [*TELLING, name, str(folder.path), *([str(rest)] if rest is not None else [])]
    return platform.start_detached(command, output, listens=True, environment=environment)


def tell_the_end(process: "subprocess.Popen[bytes]", ended: Finished | Failed | None) -> None:
    """Say how the run ended, where that is known, and that nothing more comes from here."""
    assert process.stdin is not None  # noqa: S101 - it was started so
    with suppress(OSError):  # it has ended
        if ended is not None:
            process.stdin.write(encode(ended) + b"\n")
        process.stdin.close()
