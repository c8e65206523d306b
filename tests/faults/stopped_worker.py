"""The worker as it is, but when its job comes to STAGE, it is told to end: STOP says how."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from trainer_core.worker.signals import hold_back

if __name__ == "__main__":
    hold_back()  # before all else, as trainer_core/worker/__main__.py does

from trainer_core.runs.control import Control
from trainer_core.runs.events import Event, Metrics, Stage
from trainer_core.runs.recorder import Recorder
from trainer_core.worker import supervisor

# In the training stage: after this step.
STEP = 3
_record, _control = Recorder.record, Control.__init__
_controls: list[Control] = []
_told: list[str] = []


def record(recorder: Recorder, event: Event) -> None:
    _record(recorder, event)
    wanted = os.environ["STAGE"]
    stepped = isinstance(event, Metrics) and event.step == STEP
    if stepped and wanted == "paused":
        _controls[-1].ask("pause")
    here = isinstance(event, Stage) and event.stage == wanted != "training"
    if not _told and (here or (stepped and wanted == "training")):
        _told.append(wanted)
        stop(os.environ["STOP"])


def stop(how: str) -> None:
    if how == "job":
        os.kill(os.getpid(), signal.SIGTERM)
    elif how == "supervisor":
        os.kill(os.getppid(), signal.SIGTERM)
    elif how == "group":
        os.killpg(os.getpgrp(), signal.SIGTERM)
    else:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) * 17:
            os.killpg(os.getpgrp(), number)


def remember(control: Control) -> None:
    _control(control)
    _controls.append(control)


Recorder.record = record  # type: ignore[method-assign]
Control.__init__ = remember  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(supervisor.main(sys.argv[1:]))
