"""Samples the machine while a job runs, in a thread of its own, and watches its GPUs."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trainer_core.hardware.gpus import GpuReader
from trainer_core.hardware.sample import MachineSampler
from trainer_core.runs.control import Control
from trainer_core.runs.events import Hardware
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.worker.gpu_guard import GpuGuard

# How often the GPUs are looked at, however seldom samples are recorded: they heat up in seconds.
WATCH_SECONDS = 2.0
# Longer than a look takes; one that hangs in the driver holds nobody else up.
LOOK_SECONDS = 2.0
log = logging.getLogger(__name__)


@contextmanager
def sample_hardware(
    folder: RunFolder, recorder: Recorder, control: Control
) -> Iterator[Callable[[], None]]:
    """While the block runs, record a `hardware` event every `recorder.hardware_seconds`, and let
    `control` know what the GPUs need. What it gives looks at the GPUs at once, to be asked when the
    work has failed: that may be why."""
    sampling = _Sampling(folder, recorder, control)
    thread = threading.Thread(target=sampling.run, name="hardware", daemon=True)
    thread.start()
    try:
        yield sampling.look
    finally:
        sampling.ended.set()
        thread.join(timeout=2.0)


class _Sampling:
    def __init__(self, folder: RunFolder, recorder: Recorder, control: Control) -> None:
        self.ended = threading.Event()
        self._recorder = recorder
        self._sampler = MachineSampler(folder.path)
        self._gpus = GpuReader()
        self._guard = GpuGuard(folder, recorder, control, self._gpus)
        self._looking = threading.Lock()
        self._failed = False

    def run(self) -> None:
        looked = recorded = time.monotonic()
        while True:
            look_at = looked + WATCH_SECONDS
            record_at = recorded + self._recorder.hardware_seconds
            if self.ended.wait(max(0.0, min(look_at, record_at) - time.monotonic())):
                return
            now = time.monotonic()
            if now >= record_at:
                recorded = now
                self._careful(self._record)
            if now >= look_at:
                looked = now
                self.look()

    def look(self) -> None:
        """Look at the GPUs now."""
        if self._looking.acquire(timeout=LOOK_SECONDS):
            try:
                self._careful(lambda: self._guard.see(self._gpus.read()))
            finally:
                self._looking.release()

    def _record(self) -> None:
        sample = self._sampler.sample()
        recorder = self._recorder
        recorder.record(Hardware(step=recorder.step, stage=recorder.stage, **sample.model_dump()))

    def _careful(self, act: Callable[[], None]) -> None:
        """A sample that cannot be taken must end neither the run nor the watch."""
        try:
            act()
        except Exception:
            if not self._failed:
                self._failed = True
                log.exception("the machine could not be sampled")
