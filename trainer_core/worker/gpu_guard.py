"""Does what the watch on the GPUs says: pauses the run, ends it, or tells the user."""

import logging
import os
import shlex
import time

from trainer_core.config.safety_section import SafetySection
from trainer_core.errors import BackpropError, Cause
from trainer_core.hardware.gpu_watch import Act, GpuWatch
from trainer_core.hardware.gpus import Gpu, GpuReader
from trainer_core.runs.control import Control
from trainer_core.runs.events import Notice
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder

# How long a job may take to end by itself when its GPU is gone; often it hangs in the driver.
ENDING_SECONDS = 30.0
log = logging.getLogger(__name__)


class GpuTroubleError(BackpropError):
    """A GPU's state ended the run."""

    cause: Cause = "gpu"


class GpuGuard:
    """Watches the GPUs that the run uses, as soon as the engine has read its limits."""

    def __init__(
        self, folder: RunFolder, recorder: Recorder, control: Control, reader: GpuReader
    ) -> None:
        self._folder = folder
        self._recorder = recorder
        self._control = control
        self._reader = reader
        self._watch: GpuWatch | None = None
        self._used: set[int] = set()
        self._end_at: float | None = None

    def see(self, gpus: list[Gpu]) -> None:
        """Take a sample of each visible GPU, and act."""
        safety = self._control.safety
        if safety is None or safety.gpu_watch == "off" or not gpus:
            return
        for act in self._watch_for(safety).look(self._in_use(gpus)):
            self._do(act)
        if self._end_at is not None and time.monotonic() > self._end_at:
            self._end_at = None
            if self._control.end_now is not None:
                self._control.end_now()

    def _watch_for(self, safety: SafetySection) -> GpuWatch:
        if self._watch is None:
            self._watch = GpuWatch(safety, self._reader.limits())
        return self._watch

    def _in_use(self, gpus: list[Gpu]) -> list[Gpu]:
        """Those that this process computes on, now or before; where NVML does not tell (in a
        container it may not), the first, which a run takes."""
        self._used |= self._reader.used_by(os.getpid())
        return [gpu for gpu in gpus if gpu.index in (self._used or {0})]

    def _do(self, act: Act) -> None:
        if act.kind == "warn":
            self._recorder.record(Notice(message=act.message, hint=act.hint))
            return
        log.info(act.message)
        if act.kind == "hold":
            self._control.hold(act.name, act.message)
        elif act.kind == "release":
            self._control.release(act.name)
        elif act.kind in {"stop", "abort"}:
            way = f"backprop train --resume {shlex.quote(str(self._folder.path))}"
            error = GpuTroubleError(act.message, hint=f"{act.hint} Then go on: {way}")
            self._control.give_up(error, save=act.kind == "stop")
            if act.kind == "abort":
                self._end_at = time.monotonic() + ENDING_SECONDS
