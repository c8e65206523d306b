"""Runs in a row on one adapter: the multi-run itself, or a baseline to compare it with.

Each run leaves in its folder what the next one needs, and `done.json` last. So a run that was cut
off at any moment goes on from its newest checkpoint, or does again what came after its last step.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from trainer_core.config.multi_run_section import MergeName
from trainer_core.engine.adapter import adapter_of, load_trained, put_adapter, read_weights
from trainer_core.engine.checkpoint import step_of
from trainer_core.engine.loop import Loop, Place
from trainer_core.engine.memory import let_go
from trainer_core.engine.outcome import Outcome
from trainer_core.engine.resuming import Done, read_done, resume_point, write_done
from trainer_core.engine.session import Session
from trainer_core.engine.slices import Slices
from trainer_core.errors import StoppedError
from trainer_core.files import copy_folder
from trainer_core.merging.drift import by_layer, drift
from trainer_core.merging.methods import merge_run, start_of_run
from trainer_core.merging.state import State
from trainer_core.planning.multi_run import PlannedRun
from trainer_core.runs.events import Stage
from trainer_core.runs.merges import merged_runs, ship
from trainer_core.runs.multi_run_events import Merged, RunStart
from trainer_core.tokens.packing import Bins
from trainer_core.tokens.prepare import Examples


@dataclass(frozen=True)
class Part:
    """One run: how it is planned, and the rows it trains on."""

    planned: PlannedRun
    rows: Examples
    bins: Bins | None


class Arm:
    """Trains its parts one after the other and merges after each. `initial` is the adapter that the
    first begins with; None: as the model is."""

    def __init__(
        self,
        session: Session,
        outcome: Outcome,
        slices: Slices,
        merge: MergeName,
        parts: list[Part],
        *,
        name: str = "",
        initial: State | None = None,
        first_step: int = 0,
        steps_after: int = 0,
    ) -> None:
        self._session = session
        self._outcome = outcome
        self._slices = slices
        self._merge = merge
        self._parts = parts
        self._name = name
        self._initial = initial
        self._first_step = first_step
        self._steps_after = steps_after
        # The runs' own folders lie in it.
        self.folder = session.folder if not name else session.folder.arm(name)

    def done(self) -> list[Done]:
        """How its runs ended, as far as they have."""
        found = (read_done(self.folder.part(number + 1)) for number in range(len(self._parts)))
        return [done for done in found if done is not None]

    def train(self, after_each: Callable[[int], bool] = lambda _: True) -> bool:
        """Train what is not done yet; `after_each` is asked after each run whether to go on.
        Returns whether it came to its end, rather than being stopped by the user. Raises
        StoppedError where a run's training is over, and what comes after it is not."""
        for number in range(1, len(self._parts) + 1):
            if read_done(self.folder.part(number)) is None and not self._run(number):
                return False
            if not after_each(number):
                break
        return True

    def _run(self, number: int) -> bool:
        part, planned = self.folder.part(number), self._parts[number - 1].planned
        checkpoint = resume_point(part)
        loop = self._loop(number)
        self._announce(number, loop)
        if checkpoint is None:
            self._put_start(number)
        self._session.control.holds_work = True
        detail = f"run {number} of {len(self._parts)}: {planned.name}"
        if checkpoint is not None:
            detail += f", resumed at its step {step_of(checkpoint)}"
        self._session.recorder.record(Stage(stage="training", detail=detail))
        loop.run(checkpoint)
        if self._session.control.aborting:
            return False
        loop.save("end")
        if not loop.complete:
            return False
        self._conclude(number, loop)
        return True

    def _announce(self, number: int, loop: Loop) -> None:
        planned = self._parts[number - 1].planned
        self._session.recorder.record(
            RunStart(
                arm=self._name,
                run=number,
                of=len(self._parts),
                name=planned.name,
                first_step=loop.step,
                steps=planned.steps,
                rows=planned.rows,
                replayed=planned.replayed,
                learning_rate=planned.learning_rate,
            )
        )

    def _loop(self, number: int) -> Loop:
        part = self._parts[number - 1]
        planned, training = part.planned, self._session.config.training
        done = self.done()[: number - 1]
        first_step = self._first_step + sum(run.steps for run in done)
        best = [run.best_eval_loss for run in done if run.best_eval_loss is not None]
        later = sum(other.planned.steps for other in self._parts[number:])
        place = Place(
            run=number,
            first_step=first_step,
            total_steps=first_step + planned.steps + later + self._steps_after,
            tokens=done[-1].tokens if done else 0,
            prefix=f"{self.folder.part(number).path.relative_to(self._session.folder.path)}/",
            best_loss=min(best, default=None),
            target_loss=planned.target_loss,
        )
        settings = training.model_copy(
            update={
                "steps": planned.steps,
                "learning_rate": planned.learning_rate,
                "warmup_steps": planned.warmup_steps,
                # Another order of data in each run, and other dropout.
                "seed": (training.seed + number) % 2**32,
            }
        )
        return self._session.loop(
            self.folder.part(number),
            settings,
            part.rows,
            part.bins,
            place,
            self._outcome,
        )

    # --- between two runs ------------------------------------------------------------------------

    def _put_start(self, number: int) -> None:
        """The adapter that a run begins with."""
        stands = [run for run in merged_runs(self.folder) if run < number]
        if not stands:
            if self._initial is not None:
                put_adapter(self._session.model, self._initial, "the start")
            return
        last = self.folder.part(stands[-1])
        if self._merge == "none":
            load_trained(self._session.model, last.fine_tuned)
            return
        state = start_of_run(
            self._merge,
            read_weights(last.fine_tuned),
            read_weights(last.merged),
            self._seed(number),
        )
        put_adapter(self._session.model, state, str(last.path))

    def _conclude(self, number: int, loop: Loop) -> None:
        """What comes after a run's last step; done again as a whole where it was cut off."""
        part, control = self.folder.part(number), self._session.control
        early = f", which ended early: {loop.early_end}" if loop.early_end else ""
        self._session.recorder.record(Stage(stage="merging", detail=f"run {number}{early}"))
        self._outcome.save_to(part.fine_tuned)
        changes = self._put_merged(number)
        path = part.merged.relative_to(self._session.folder.path).as_posix()
        self._session.recorder.record(
            Merged(arm=self._name, run=number, merge=self._merge, path=path, drift=changes)
        )
        if control.stopping:
            raise StoppedError("stopped before scoring")
        self._score(number)
        losses = [entry["loss"] for entry in loop.state.log_history if "loss" in entry]
        write_done(
            part,
            Done(
                steps=int(loop.state.global_step),
                tokens=loop.tokens,
                first_loss=losses[0] if losses else None,
                last_loss=losses[-1] if losses else None,
                best_eval_loss=loop.best_loss,
                general_loss=self._slices.general_loss(part),
                early=loop.early_end,
            ),
        )
        if not self._name:
            ship(self.folder)
        shutil.rmtree(part.checkpoints, ignore_errors=True)
        let_go()

    def _put_merged(self, number: int) -> dict[str, float]:
        """Merge what was trained, put it into the model and write it; returns how much each layer
        of the merged adapter changed."""
        part, model = self.folder.part(number), self._session.model
        stands = [run for run in merged_runs(self.folder) if run < number]
        if self._merge == "none" or not stands:
            copy_folder(part.fine_tuned, part.merged)
            if not stands or self._method == "full":
                return {}
            before = read_weights(self.folder.part(stands[-1]).merged)
            return by_layer(drift(before, adapter_of(model)))
        before = read_weights(self.folder.part(stands[-1]).merged)
        merged = merge_run(
            self._merge,
            before,
            adapter_of(model),
            len(stands) + 1,
            density=self._session.config.multi_run.density,
            seed=self._seed(number),
        )
        put_adapter(model, merged, str(part.path))
        self._outcome.save_to(part.merged)
        return by_layer(drift(before, adapter_of(model)))

    def _score(self, number: int) -> None:
        """The model holds the merged adapter, and does so afterwards."""
        if not self._slices:
            return
        part, model = self.folder.part(number), self._session.model
        self._session.recorder.record(Stage(stage="scoring", detail=f"after run {number}"))
        merged = self._slices.score(model)
        fine_tuned = merged
        if self._merge != "none" and number > 1:
            load_trained(model, part.fine_tuned)
            fine_tuned = self._slices.score(model)
            load_trained(model, part.merged)
        self._slices.write(part, merged, fine_tuned)
        event = self._slices.event(self.folder, number, len(self._parts), self._name)
        self._session.recorder.record(event)

    @property
    def _method(self) -> str:
        return str(self._session.config.training.method)

    def _seed(self, number: int) -> int:
        return self._session.config.training.seed * 1_000_003 + number
