"""Runs as a job records them, without a training, and the processes that tell trackers of them."""

import math
from pathlib import Path
from typing import Any

from tests.end_to_end.real_runs import events
from trainer_core.config.load import load_config
from trainer_core.hardware.facts import MachineFacts
from trainer_core.hardware.gpus import Gpu
from trainer_core.planning.draft import draft
from trainer_core.planning.resolved_file import write_resolved
from trainer_core.runs.events import (
    Answer,
    Eval,
    Event,
    Failed,
    Finished,
    Hardware,
    Metrics,
    Plan,
    Samples,
    Scored,
    Stage,
)
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.multi_run_events import Spread
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.status import new_status, write_status
from trainer_core.worker.trackers import start_telling, tell_the_end

DEMO = Path(__file__).parents[2] / "configs" / "demo" / "demo.yaml"
ANSWER = Answer(prompt="What does a hen say?", answer="It clucks.")
# A loss that is no number is one of those that a tracker is told.
NO_NUMBER = 7
Curves = dict[str, dict[int, float]]


class RecordedRun:
    """A run folder that was planned, and what a tracker must have of it."""

    def __init__(self, path: Path, *settings: str) -> None:
        path.mkdir(parents=True)
        self.folder = RunFolder(path)
        write_status(self.folder, new_status(path.name, "train"))
        run = draft(load_config(DEMO, list(settings)), MachineFacts(cores=2, ram=1 << 34)).run
        assert run is not None
        write_resolved(self.folder.resolved, run)
        self.recorder = Recorder(self.folder, lambda event: None)
        self.expected: Curves = {}
        self.recorder.record(Stage(stage="starting"))
        self.recorder.record(
            Plan(total_steps=50, epochs=1, values=run.values(), reasons=run.reasons())
        )

    def say(self, *said: Event) -> None:
        """Record what the job says."""
        for event in said:
            self.recorder.record(event)

    def train(self, first: int, last: int, *, again: int = 0) -> None:
        """The steps from `first` to `last`, every tenth validated, the machine sampled after each.
        Those up to `again` were trained before, and come to something else now."""
        for step in range(first, last + 1):
            other = 1000.0 if step <= again else 0.0
            loss = math.nan if step == NO_NUMBER else 3 / step + other
            values = {"loss": loss, "grad_norm": step / 7, "learning_rate": 1e-3 / step}
            self.say(
                Metrics(
                    step=step,
                    total_steps=50,
                    epoch=step / 50,
                    elapsed=step / 10,
                    values=values,
                    tokens=100 * step,
                    tokens_per_second=1000.0 + step,
                )
            )
            told = {f"train/{name}": value for name, value in values.items()}
            told |= {"train/tokens_per_second": 1000.0 + step, "train/tokens": 100.0 * step}
            if step % 10 == 0:
                self.say(_validation(step, 2 / step + other))
                exact = Spread(value=step / 50, low=0.0, high=1.0)
                self.say(Scored(step=step, rows=20, scores={"exact": exact}))
                told |= {"eval/loss": 2 / step + other, "score/exact": step / 50}
            self.say(_sample(step), _sample(step))
            told |= {"hardware/ram_gib": 2.0, "hardware/gpu0_memory_gib": step / 8}
            if step > again:
                for name, value in told.items():
                    self.expected.setdefault(name, {})[step] = value

    def answer(self, when: str, step: int) -> None:
        """The sample prompt, answered."""
        self.say(Samples.model_validate({"when": when, "step": step, "answers": [ANSWER]}))

    def finish(self, step: int) -> None:
        """The end, as asked."""
        summary = {"best_eval_loss": 0.04, "last_loss": None}
        self.say(Finished(outcome="finished", step=step, elapsed=5.0, summary=summary))

    def tell(self, name: str, ended: Finished | Failed | None = None) -> int:
        """Tell a tracker of what there is, as the job's end does; returns the exit status."""
        process = start_telling(self.folder, name)
        tell_the_end(process, ended)
        return process.wait(120)

    def written(self) -> bytes:
        """All that lies in its folder."""
        files = [path for path in self.folder.path.rglob("*") if path.is_file()]
        return b"".join(path.read_bytes() for path in files)

    def notices(self) -> list[dict[str, Any]]:
        """What the run was warned of."""
        return [event for event in events(self.folder.path) if event["type"] == "warning"]


def _validation(step: int, loss: float) -> Eval:
    values = {"eval_loss": loss, "eval_runtime": 0.5}
    return Eval(step=step, total_steps=50, epoch=step / 50, loss=loss, best=True, values=values)


def _sample(step: int) -> Hardware:
    gpu = Gpu(index=0, name="A", utilization=50.0, memory_used=step << 27, memory_total=1 << 34)
    return Hardware(
        step=step,
        cpu=50.0,
        ram_used=2 << 30,
        ram_total=4 << 30,
        process_ram=1 << 30,
        disk_used=1,
        disk_total=2,
        gpus=[gpu],
    )
