"""A multi-run: run after run on one adapter, what is forgotten measured, baselines beside it."""

import time

from trainer_core.config.schema import RunConfig
from trainer_core.engine.adapter import adapter_of, load_trained
from trainer_core.engine.arm import Arm, Part
from trainer_core.engine.memory import forget_embeddings, forget_peak, measured_peak
from trainer_core.engine.outcome import Outcome
from trainer_core.engine.resuming import Done, read_done, resume_point
from trainer_core.engine.session import Session
from trainer_core.engine.slices import Slices
from trainer_core.errors import StoppedError
from trainer_core.merging.state import State
from trainer_core.planning.multi_run import PlannedRun
from trainer_core.runs.events import Finished, Stage, Values
from trainer_core.runs.merges import ship
from trainer_core.tokens.packing import pack
from trainer_core.tokens.prepare import Examples


class MultiRun:
    """The runs of a training whose plan has several."""

    def __init__(self, session: Session, outcome: Outcome) -> None:
        self._session = session
        self._outcome = outcome
        self._slices = Slices(session)
        self._planned = session.ready.run.runs
        self._whole_steps = sum(run.steps for run in self._planned)

    @property
    def untouched(self) -> bool:
        """Whether not a step has been trained."""
        first = self._session.folder.part(1)
        return read_done(first) is None and resume_point(first) is None

    def train(self, started: float) -> Finished:
        """Train all runs, then the baselines; say how it ended. Raises UserError, StoppedError
        before the first step."""
        config, folder = self._session.config, self._session.folder
        compare = config.multi_run.compare
        start = adapter_of(self._session.model) if compare else {}
        merge = config.multi_run.merge
        assert merge != "auto"  # noqa: S101 - planned
        ours = Arm(
            self._session,
            self._outcome,
            self._slices,
            merge,
            [
                Part(planned, shard.train, shard.bins)
                for planned, shard in zip(self._planned, self._session.ready.shards, strict=True)
            ],
            steps_after=self._whole_steps * len(compare),
        )
        self._score_start()
        ship(folder)  # where it was cut off just before
        forget_peak()
        try:
            over = ours.train(self._goes_on)
            step = sum(done.steps for done in ours.done())
            for place, baseline in enumerate(compare):
                if not over:
                    break
                over = self._baseline(baseline, ours, start, place=place).train()
        except StoppedError:
            if not self._session.control.holds_work:
                raise
            over = False
        peak = measured_peak()
        forget_embeddings()
        if over:
            load_trained(self._session.model, folder.trained(config.training.method) / "last")
            self._outcome.answer("after", step)
        return self._finished(ours.done(), over=over, peak=peak, started=started)

    def _score_start(self) -> None:
        """What is known before the first run."""
        nothing = self._session.folder.part(0)
        if not self._slices or self._slices.has(nothing) or not self.untouched:
            return
        self._session.recorder.record(Stage(stage="scoring", detail="before the first run"))
        scores = self._slices.score(self._session.model)
        self._slices.write(nothing, scores, scores)
        event = self._slices.event(self._session.folder, 0, len(self._planned))
        self._session.recorder.record(event)

    def _goes_on(self, number: int) -> bool:
        """Whether the general slice got better in one of the last `patience` runs."""
        patience, best = self._session.config.multi_run.patience, self._best(number)
        return patience is None or best is None or number - best < patience

    def _best(self, number: int) -> int | None:
        """Which of the first `number` runs has the lowest loss on the general slice."""
        done = [read_done(self._session.folder.part(run)) for run in range(1, number + 1)]
        losses = {
            run: ended.general_loss
            for run, ended in enumerate(done, 1)
            if ended is not None and ended.general_loss is not None
        }
        return min(losses, key=lambda run: losses[run]) if losses else None

    def _baseline(self, name: str, ours: Arm, start: State, *, place: int) -> Arm:
        """Plain training on the same rows for as many steps: one run after the other, or mixed."""
        shards, done = self._session.ready.shards, ours.done()
        steps = sum(run.steps for run in done)
        if name == "sequential":
            planned = [
                run.model_copy(update={"steps": ended.steps, "target_loss": None, "replayed": 0})
                for run, ended in zip(self._planned, done, strict=False)
            ]
            rows = [shard.own for shard in shards]
        else:
            rows = [shards[0].own.joined(*(shard.own for shard in shards[1 : len(done)]))]
            planned = [_mixed(self._planned[0], steps, self._session.config)]
        return Arm(
            self._session,
            self._outcome,
            self._slices,
            "none",
            [self._part(run, part) for run, part in zip(planned, rows, strict=False)],
            name=name,
            initial=start,
            first_step=steps * (place + 1),
            steps_after=steps * (len(self._session.config.multi_run.compare) - place - 1),
        )

    def _part(self, planned: PlannedRun, rows: Examples) -> Part:
        config = self._session.config
        packed = config.training.packing == "pack"
        bins = pack(rows.lengths, int(config.model.max_length)) if packed else None
        count = len(rows) if bins is None else len(bins)
        return Part(planned.model_copy(update={"rows": count}), rows, bins)

    def _finished(self, done: list[Done], *, over: bool, peak: int, started: float) -> Finished:
        control, folder = self._session.control, self._session.folder
        step = max(control.step, sum(run.steps for run in done))
        saved = folder.trained(self._session.config.training.method) / "last"
        if not over and not control.aborting and not saved.is_dir():
            self._outcome.save("last")  # no run was merged yet
        return Finished(
            outcome="finished" if over else "stopped",
            step=step,
            elapsed=time.monotonic() - started,
            saved=str(saved) if saved.is_dir() else "",
            message=self._ending(done, step, over=over),
            summary={**self._summary(done), **self._outcome.memory(peak, step)},
        )

    def _ending(self, done: list[Done], step: int, *, over: bool) -> str:
        control, count = self._session.control, len(self._planned)
        why = f" ({control.reason})" if control.reason else ""
        if control.aborting:
            return f"aborted at step {step}{why}"
        if not over:
            return f"stopped and saved at step {step}{why}, with {len(done)} of {count} runs done"
        if len(done) < count:
            return f"ended after {len(done)} of {count} runs: the general slice got no better"
        return ""

    def _summary(self, done: list[Done]) -> Values:
        best = self._best(len(done))
        return {
            "first_loss": done[0].first_loss if done else None,
            "last_loss": done[-1].last_loss if done else None,
            "best_eval_loss": done[best - 1].general_loss if best is not None else None,
            "best_eval_step": sum(run.steps for run in done[:best]) if best is not None else None,
        }


def _mixed(first: PlannedRun, steps: int, config: RunConfig) -> PlannedRun:
    """All rows at once, at the rate that the first run has."""
    rate = float(config.training.learning_rate)
    update = {"name": "all rows, mixed", "steps": steps, "learning_rate": rate, "replayed": 0}
    return first.model_copy(update={**update, "target_loss": None})
