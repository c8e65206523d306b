"""The worker as it is, but its job does what the file `do` in the run folder says, without torch.

In `do` stand the names of steps below, one a line, done one after the other.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from trainer_core.worker.signals import hold_back

if __name__ == "__main__":
    hold_back()  # before all else, as trainer_core/worker/__main__.py does

from trainer_core.errors import BackpropError, StoppedError
from trainer_core.runs.control import Control
from trainer_core.runs.events import Finished, Log, Metrics, Stage
from trainer_core.runs.flight import Flight
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.worker import job, supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


class Light:
    """What a job can be told to do."""

    def __init__(self, folder: RunFolder, recorder: Recorder, control: Control) -> None:
        self.folder, self.recorder, self.control = folder, recorder, control
        self.flight = Flight(folder)

    def step(self) -> None:
        """A training step, as the engine announces it."""
        self.recorder.record(Stage(stage="training"))
        self.flight.note(step=1, lengths=[7, 9], shape=[2, 9], rows=[3, 4])
        self.control.holds_work, self.control.step = True, 1
        values = {"loss": 2.5}
        self.recorder.record(Metrics(step=1, total_steps=9, epoch=0.1, elapsed=0.1, values=values))

    def save(self) -> None:
        """A checkpoint, as far as its name goes."""
        place = self.folder.checkpoints / "step-1"
        place.mkdir(parents=True)
        (place / "manifest.json").write_text("{}")

    def wait(self) -> None:
        """Until it is stopped."""
        while not self.control.wait_for_stop(1.0):
            self.recorder.record(Log(level="INFO", message="still here"))
        raise StoppedError("stopped")

    def beat(self) -> None:
        """Until it is stopped, without an event."""
        while not self.control.wait_for_stop(0.2):
            self.flight.note()
        raise StoppedError("stopped")

    def hang(self) -> None:
        """Hold Python's lock and say no more, as a library does that never returns."""
        while True:
            ctypes.PyDLL(None).sleep(600)

    def child(self) -> None:
        """Leave a process behind, and say which."""
        process = subprocess.Popen(SLEEP)
        (self.folder.path / "child").write_text(str(process.pid))

    def segv(self) -> None:
        ctypes.string_at(0)

    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def suspend(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def exit(self) -> None:
        os._exit(7)

    def abort(self) -> None:
        """As torch ends where CUDA fails beyond Python."""
        print("terminate called: CUDA error: device-side assert triggered", file=sys.stderr)
        os.abort()

    def cuda(self) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def bug(self) -> None:
        raise KeyError("no such \x1b[31mthing")

    def give_up(self) -> None:
        raise BackpropError("the loss is not a number", hint="Lower the learning rate.")

    def mistake(self) -> None:
        from trainer_core.errors import UserError

        raise UserError("rows.jsonl does not exist", where="config.yaml:3")

    def memory(self) -> None:
        """More than there is."""
        held = []
        while True:
            held.append(b"x" * (1 << 24))


def work(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
    began = time.monotonic()
    light = Light(folder, recorder, control)
    for name in (folder.path / "do").read_text().split():
        getattr(light, name)()
    return Finished(outcome="finished", step=1, elapsed=time.monotonic() - began)


job._work_of = lambda _kind: work
# Generous where a person waits, and no use to a test.
supervisor.LOOK_SECONDS = 0.1
supervisor.ORPHAN_SECONDS = 0.2
# Many runs, and what is reported of them is looked at elsewhere.
supervisor.report_on = lambda _folder: None

if __name__ == "__main__":
    sys.exit(supervisor.main(sys.argv[1:]))
