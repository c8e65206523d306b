"""The worker as it is, but its job only says that it trains: STEADY_STEPS steps, or until a stop,
STEADY_RATE of them a second by a clock that does not wait for stragglers."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
if "CLOCK" in os.environ:  # a file of seconds by which the clock was moved; before anybody keeps it
    real = time.time
    time.time = lambda: real() + float(Path(os.environ["CLOCK"]).read_text())

from trainer_core.runs.control import Control
from trainer_core.runs.events import Eval, Finished, Log, Metrics, Plan, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.worker import job, supervisor


def work(_folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
    steps, rate = int(os.environ["STEADY_STEPS"]), float(os.environ["STEADY_RATE"])
    recorder.record(Plan(total_steps=steps, epochs=1.0, values={}, reasons={}))
    recorder.record(Stage(stage="training"))
    began = time.monotonic()
    for step in range(recorder.step + 1, steps + 1):
        time.sleep(max(0.0, began + step / rate - time.monotonic()))
        if control.stopping:
            return Finished(outcome="stopped", step=step - 1, elapsed=time.monotonic() - began)
        loss = 1.0 + 1.0 / step
        recorder.record(
            Metrics(
                step=step,
                total_steps=steps,
                epoch=step / steps,
                elapsed=time.monotonic() - began,
                values={"loss": loss, "grad_norm": 1.0, "learning_rate": 1e-4},
                tokens=step * 512,
                tokens_per_second=rate * 512,
                seconds_left=(steps - step) / rate,
            )
        )
        if step % 100 == 0:
            recorder.record(Log(level="INFO", message=f"{step} steps"))
        if step % 1000 == 0:
            recorder.record(Eval(step=step, epoch=step / steps, loss=loss, best=True))
    return Finished(outcome="finished", step=steps, elapsed=time.monotonic() - began)


job._work_of = lambda _kind: work
supervisor.report_on = lambda _folder: None  # of many runs; looked at elsewhere

if __name__ == "__main__":
    sys.exit(supervisor.main(sys.argv[1:]))
