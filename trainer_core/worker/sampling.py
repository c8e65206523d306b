"""Samples the machine while a job runs, in a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from trainer_core.hardware.sample import MachineSampler
from trainer_core.runs.events import Hardware
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder


@contextmanager
def sample_hardware(folder: RunFolder, recorder: Recorder) -> Iterator[None]:
    """While the block runs, record a `hardware` event every `recorder.hardware_seconds`."""
    ended = threading.Event()
    sampler = MachineSampler(folder.path)

    def run() -> None:
        while not ended.wait(recorder.hardware_seconds):
            sample = sampler.sample()
            recorder.record(
                Hardware(step=recorder.step, stage=recorder.stage, **sample.model_dump())
            )

    thread = threading.Thread(target=run, name="hardware", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=2.0)
