"""The training loop: TRL's SFTTrainer, subclassed once. Its loop is kept; what it reads, says and
saves is ours.
"""

import math
import shutil
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerState
from trl import SFTTrainer

from trainer_core.config.training_section import TrainingSection
from trainer_core.engine import checkpoint as checkpoints
from trainer_core.engine.adapter import load_trained, write_trained
from trainer_core.engine.batches import EpochOrder
from trainer_core.errors import BackpropError
from trainer_core.runs.control import Control
from trainer_core.runs.events import Checkpoint, Eval, Metrics, Notice, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder

# What the loop says beside losses at its very end; it is in the `finished` event.
_SUMMARY = "train_runtime"
# What an event says by itself already.
_COUNTED = {"epoch", "num_tokens"}


# How many steps' losses are averaged to tell whether a target is reached.
TARGET_STEPS = 10


@dataclass(frozen=True)
class Place:
    """Where a loop stands in the whole training. `run` is 0 and the rest nothing where it is all of
    it; `first_step`, `total_steps` and `tokens` count through the runs of a multi-run, and `prefix`
    leads from the run folder to this run's."""

    run: int = 0
    first_step: int = 0
    total_steps: int | None = None
    tokens: int = 0
    prefix: str = ""
    # The lowest validation loss of the runs before.
    best_loss: float | None = None
    target_loss: float | None = None


class Loop(SFTTrainer):  # type: ignore[misc]
    """Trains, says each step, saves checkpoints of our own, and does what the user asks between
    steps."""

    def __init__(
        self,
        *,
        folder: RunFolder,
        recorder: Recorder,
        wishes: Control,
        settings: TrainingSection,
        stop_at_bad_loss: bool,
        place: Place,
        **arguments: Any,
    ) -> None:
        self._folder = folder
        self._recorder = recorder
        self._wishes = wishes
        self._settings = settings
        self._stop_at_bad_loss = stop_at_bad_loss
        self._place = place
        self._started = time.monotonic()
        self._step_ends: deque[tuple[float, int]] = deque(maxlen=20)
        self._tokens = place.tokens
        self._saved_step = -1
        self._without_gain = 0
        self._gained_loss: float | None = None
        # Why it ended before its last step, if it did.
        self.early_end = ""
        self.best_step: int | None = None
        self.best_loss: float | None = None
        self.on_best: Callable[[], None] | None = None
        self.on_samples: Callable[[int], None] | None = None
        super().__init__(**arguments)
        # Progress on a terminal is the client's work; stdout goes to worker.log.
        for callback in list(self.callback_handler.callbacks):
            if type(callback).__name__ in {"PrinterCallback", "ProgressCallback"}:
                self.remove_callback(callback)

    def run(self, checkpoint: Path | None) -> None:
        """Train, or go on from a checkpoint; one from which nothing is left only gives back what it
        holds."""
        if checkpoint is None or not self._is_over(checkpoint):
            self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            return
        # TRL would train one step too many.
        self._load_from_checkpoint(str(checkpoint))
        self.state = TrainerState.load_from_json(str(checkpoint / checkpoints.TRAINER_STATE))

    @property
    def step(self) -> int:
        """The last finished step, counted through the whole training."""
        return self._place.first_step + int(self.state.global_step)

    @property
    def tokens(self) -> int:
        """The tokens trained on so far, in the whole training."""
        return self._tokens

    @property
    def complete(self) -> bool:
        """Whether it came to its last step, or to an early end."""
        return bool(self.early_end) or self.state.global_step >= self.args.max_steps

    def _is_over(self, checkpoint: Path) -> bool:
        ended = bool(checkpoints.read_position(checkpoint).early)
        return ended or checkpoints.step_of(checkpoint) >= self.args.max_steps

    # --- what it reads ---------------------------------------------------------------------------

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder:
        dataset = train_dataset if train_dataset is not None else self.train_dataset
        return EpochOrder(len(dataset), self.args.seed)

    def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
        mask = inputs.get("attention_mask")
        self._tokens += int(mask.sum()) if mask is not None else inputs["input_ids"].numel()
        return super().training_step(model, inputs, *rest, **named)

    # --- what it says ----------------------------------------------------------------------------

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        super().log(logs, start_time)
        if _SUMMARY in logs:
            return
        values = {name: value for name, value in logs.items() if isinstance(value, int | float)}
        if "eval_loss" in values:
            self._say_eval(values)
        elif "loss" in values:
            self._say_step(values)

    def _say_step(self, values: dict[str, float]) -> None:
        if not math.isfinite(values["loss"]):
            self._bad_loss(values["loss"])
        now = time.monotonic()
        self._step_ends.append((now, self._tokens))
        rate = left = None
        if len(self._step_ends) > 1:
            (first, before), steps = self._step_ends[0], len(self._step_ends) - 1
            span = max(now - first, 1e-9)
            rate = (self._tokens - before) / span
            left = span / steps * (self._total - self.step)
        self._wishes.step = self.step
        self._recorder.record(
            Metrics(
                run=self._place.run,
                step=self.step,
                total_steps=self._total,
                epoch=self.state.epoch or 0.0,
                elapsed=now - self._started,
                values={name: value for name, value in values.items() if name not in _COUNTED},
                tokens=self._tokens,
                tokens_per_second=rate,
                seconds_left=left,
            )
        )
        self._look_at_target()

    @property
    def _total(self) -> int:
        return self._place.total_steps or int(self.state.max_steps)

    def _look_at_target(self) -> None:
        target = self._place.target_loss
        losses = [entry["loss"] for entry in self.state.log_history if "loss" in entry]
        if target is None or len(losses) < TARGET_STEPS:
            return
        if sum(losses[-TARGET_STEPS:]) / TARGET_STEPS <= target:
            self._end_early(f"its loss is down to {target:g}")

    def _end_early(self, why: str) -> None:
        self.early_end = why
        self.control.should_training_stop = True

    def _bad_loss(self, loss: float) -> None:
        """A loss that is not a number: nothing good comes after it."""
        step = self.step
        message = f"the loss of step {step} is {loss}, not a number"
        hint = "Lower training.learning_rate, or compute in another training.precision."
        if self._stop_at_bad_loss:
            raise BackpropError(f"{message}; the last checkpoint stands", hint=hint)
        self._recorder.record(Notice(message=message, hint=hint))

    def _say_eval(self, values: dict[str, float]) -> None:
        loss = values["eval_loss"]
        self._count_gains(loss)
        best = self.best_loss is None or loss < self.best_loss
        if best:
            self.best_loss, self.best_step = loss, self.state.global_step
        self._recorder.record(
            Eval(
                run=self._place.run,
                step=self.step,
                total_steps=self._total,
                epoch=self.state.epoch or 0.0,
                loss=loss,
                best=best and (self._place.best_loss is None or loss < self._place.best_loss),
                values=dict(values),
            )
        )
        if best and self.on_best is not None:
            self.on_best()

    def _count_gains(self, loss: float) -> None:
        """End the run after `patience` validations without a loss that is lower by `min_delta`."""
        best, patience = self._gained_loss, self._settings.patience
        if best is None or loss < best - self._settings.min_delta:
            self._gained_loss, self._without_gain = loss, 0
            return
        self._without_gain += 1
        if patience is not None and self._without_gain >= patience:
            self._end_early(f"{patience} validations brought no better loss")

    def evaluate(self, *arguments: Any, **named: Any) -> Any:
        self._recorder.record(Stage(stage="evaluating", detail=f"step {self.step}"))
        result = super().evaluate(*arguments, **named)
        self._recorder.record(Stage(stage="training"))
        # The time spent here is not the time of a step.
        self._step_ends.clear()
        return result

    # --- what the user asks ----------------------------------------------------------------------

    def _maybe_log_save_evaluate(self, *arguments: Any, **named: Any) -> None:
        super()._maybe_log_save_evaluate(*arguments, **named)
        wishes, every = self._wishes, self._settings.sample_steps
        if every and self.step % every == 0 and self.step < self._total and self.on_samples:
            self.on_samples(self.step)
            self._recorder.record(Stage(stage="training"))
            self._step_ends.clear()
        self._obey()
        if wishes.paused and not wishes.stopping:
            self._recorder.record(Stage(stage="paused", detail=f"step {self.step}"))
            while wishes.paused and not wishes.stopping:
                wishes.wait_while_paused()
                self._obey()
            self._recorder.record(Stage(stage="training"))
            self._step_ends.clear()
        if wishes.stopping and not self.control.should_training_stop:
            self._recorder.record(Stage(stage="stopping", detail=wishes.reason))
            if not wishes.aborting:
                self.save("stop")
            self.control.should_training_stop = True

    def _obey(self) -> None:
        if self._wishes.take_save():
            self.save("asked for")
        if self._wishes.take_evaluate() and self.eval_dataset is not None:
            self.evaluate()

    # --- what it saves ---------------------------------------------------------------------------

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.save("interval")

    def save(self, reason: str) -> None:
        """Write the checkpoint of this step, once."""
        step = self.state.global_step
        if step == self._saved_step or step == 0:
            return
        final = self._folder.checkpoints / f"step-{step}"
        temporary = self._folder.checkpoints / f".step-{step}.new"
        shutil.rmtree(temporary, ignore_errors=True)
        write_trained(self.model, temporary)
        checkpoints.save_loop_state(temporary, self.optimizer, self.lr_scheduler)
        self.state.save_to_json(str(temporary / checkpoints.TRAINER_STATE))
        checkpoints.write_position(temporary, self._position())
        checkpoints.finish(temporary, final)
        checkpoints.prune(self._folder.checkpoints, self._settings.keep_checkpoints, self.best_step)
        self._saved_step = step
        path = self._place.prefix + final.relative_to(self._folder.path).as_posix()
        run = self._place.run
        self._recorder.record(Checkpoint(run=run, step=self.step, path=path, reason=reason))

    def _position(self) -> checkpoints.Position:
        return checkpoints.Position(
            tokens=self._tokens,
            best_step=self.best_step,
            best_loss=self.best_loss,
            gained_loss=self._gained_loss,
            without_gain=self._without_gain,
            early=self.early_end,
        )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        load_trained(model or self.model, folder)
        position = checkpoints.read_position(folder)
        self._tokens = position.tokens
        self.best_step, self.best_loss = position.best_step, position.best_loss
        self._gained_loss, self._without_gain = position.gained_loss, position.without_gain
        self._saved_step = checkpoints.step_of(folder)
        self.early_end = position.early

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            checkpoints.load_loop_state(Path(checkpoint), self.optimizer, self.lr_scheduler)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            checkpoints.restore_random_state(Path(checkpoint))
