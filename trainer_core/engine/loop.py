"""The training loop: TRL's SFTTrainer, subclassed once. Its loop is kept; what it reads, says and
saves is ours.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerState
from trl import SFTTrainer

from trainer_core.config.safety_section import SafetySection
from trainer_core.config.training_section import TrainingSection
from trainer_core.engine import checkpoint as checkpoints
from trainer_core.engine import loop_state
from trainer_core.engine.adapter import load_trained, write_trained
from trainer_core.engine.batches import EpochOrder
from trainer_core.engine.early_end import EarlyEnd
from trainer_core.engine.numbers import BadNumbers, NumberWatch
from trainer_core.engine.pace import Pace
from trainer_core.engine.proof import Recorded, compare, recorded_step, say_restored
from trainer_core.engine.room import Room
from trainer_core.engine.shrink import MicroBatches
from trainer_core.errors import BackpropError
from trainer_core.files import size_of
from trainer_core.runs.control import Control
from trainer_core.runs.events import Checkpoint, Eval, Metrics, Notice, Stage
from trainer_core.runs.flight import Flight
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder

# What the loop says beside losses at its very end; it is in the `finished` event.
_SUMMARY = "train_runtime"
# What an event says by itself already.
_COUNTED = {"epoch", "num_tokens"}


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


class _StopNow(Exception):  # noqa: N818 - no error: the user's wish, carried out of the loop
    """The user wants to stop, and the step or validation under way is given up."""


class Loop(SFTTrainer):  # type: ignore[misc]
    """Trains, says each step, saves checkpoints of our own, and does what the user asks between
    steps."""

    def __init__(
        self,
        *,
        folder: RunFolder,
        recorder: Recorder,
        record: RunFolder,
        wishes: Control,
        settings: TrainingSection,
        safety: SafetySection,
        place: Place,
        room: Room,
        flight: Flight,
        rows_at: Callable[[int], list[str]],
        warm: bool,
        **arguments: Any,
    ) -> None:
        """`folder` is where the checkpoints are, `record` where the events are. `rows_at` says
        where the rows stand that a step is trained on; `warm`, that a checkpoint may have been made
        with other settings."""
        self._folder = folder
        self._recorder = recorder
        self._record = record
        self._wishes = wishes
        self._settings = settings
        self._safety = safety
        self._place = place
        self._room = room
        self._flight = flight
        self._rows_at = rows_at
        self._warm = warm
        self._numbers = NumberWatch(safety, scaled=settings.precision == "float16")
        self._micro_batches = MicroBatches(safety.on_oom == "shrink", recorder)
        # What a stop within a step goes back to.
        self._after_step: tuple[loop_state.RandomState, int] | None = None
        self._evaluation_due = False
        self._recorded: Recorded | None = None
        self._restored_tensors = 0
        self._started = time.monotonic()
        self._pace = Pace()
        self._ending = EarlyEnd(settings, place.target_loss)
        self._tokens = place.tokens
        self._saved_step = self._shown_step = -1
        self._good_step: int | None = None
        self._troubled = False
        self.best_step: int | None = None
        self.best_loss: float | None = None
        self.on_best: Callable[[], None] | None = None
        # Asides between two steps: the sample prompts, and a slice of validation.
        self.on_samples: Callable[[int], None] | None = None
        self.on_score: Callable[[int], None] | None = None
        super().__init__(**arguments)
        # Progress on a terminal is the client's work; stdout goes to worker.log.
        for callback in list(self.callback_handler.callbacks):
            if type(callback).__name__ in {"PrinterCallback", "ProgressCallback"}:
                self.remove_callback(callback)

    def run(self, checkpoint: Path | None) -> None:
        """Train, or go on from a checkpoint; one from which nothing is left only gives back what it
        holds."""
        checkpoints.clear_half_made(self._folder.checkpoints)
        if checkpoint is not None and self._is_over(checkpoint):
            # TRL would train one step too many.
            self._load_from_checkpoint(str(checkpoint))
            self.state = TrainerState.load_from_json(str(checkpoint / loop_state.TRAINER_STATE))
            return
        try:
            self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except _StopNow:
            self._stop_within_step()

    @property
    def step(self) -> int:
        """The last finished step, counted through the whole training."""
        return self._place.first_step + int(self.state.global_step)

    @property
    def tokens(self) -> int:
        """The tokens trained on so far, in the whole training."""
        return self._tokens

    @property
    def early_end(self) -> str:
        """Why it ended before its last step, if it did."""
        return self._ending.why

    @property
    def complete(self) -> bool:
        """Whether it came to its last step, or to an early end."""
        return bool(self.early_end) or self.state.global_step >= self.args.max_steps

    def _is_over(self, checkpoint: Path) -> bool:
        ended = bool(loop_state.read_position(checkpoint).early)
        return (ended and not self._warm) or checkpoints.step_of(checkpoint) >= self.args.max_steps

    # --- what it reads ---------------------------------------------------------------------------

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder:
        dataset = train_dataset if train_dataset is not None else self.train_dataset
        return EpochOrder(len(dataset), self.args.seed)

    def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
        self._give_up_if_asked()
        self._note(inputs)
        step = super().training_step
        return self._micro_batches.train(
            self.step + 1, model, inputs, lambda piece: step(model, piece, *rest, **named)
        )

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any
    ) -> tuple[Any, Any, Any]:
        if self._wishes.stopping:
            self._evaluation_due = True
        self._give_up_if_asked()
        self._flight.note(evaluating=list(inputs["input_ids"].shape))
        step = super().prediction_step
        loss = self._micro_batches.evaluate(
            self.step, inputs, lambda piece: step(model, piece, *rest, **named)[0]
        )
        return loss, None, None

    def _note(self, inputs: dict[str, Any]) -> None:
        """Count the tokens, and take down what is about to be computed."""
        mask = inputs.get("attention_mask")
        rows, longest = inputs["input_ids"].shape
        lengths = [longest] * rows if mask is None else mask.sum(dim=1).tolist()
        self._tokens += sum(lengths)
        self._flight.note(
            step=self.step + 1,
            micro_batch=self._micro_batches.count + 1,
            lengths=lengths[:64],
            shape=[rows, longest],
            pieces=self._micro_batches.pieces,
            evaluating=None,
        )

    def _give_up_if_asked(self) -> None:
        if self._wishes.stopping and not self._wishes.aborting:
            raise _StopNow

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
        now = time.monotonic()
        rate, left = self._pace.step(now, self._tokens, self._total - self.step)
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
        if self._recorded is not None:
            compare(self._recorder, self._recorded, values, gpu=torch.cuda.is_available())
            self._recorded = None
        trouble = self._numbers.look(self.step, values["loss"], values.get("grad_norm"))
        if trouble is not None:
            self._meet(trouble)
        self._ending.see_steps([x["loss"] for x in self.state.log_history if "loss" in x])
        self._end_if_early()

    @property
    def _total(self) -> int:
        return self._place.total_steps or int(self.state.max_steps)

    def _end_if_early(self) -> None:
        if self._ending.why:
            self.control.should_training_stop = True

    def _meet(self, trouble: BadNumbers) -> None:
        """The numbers went wrong: end the run, its last checkpoint stands, or warn once."""
        hint = f"{trouble.hint} {self._suspects()}"
        if trouble.ends:
            raise BackpropError(f"{trouble.message}; the last checkpoint stands", hint=hint)
        if not self._troubled:
            self._recorder.record(Notice(message=trouble.message, hint=hint))
        self._troubled = True

    def _suspects(self) -> str:
        """What may have brought the numbers of the last step about."""
        rows = self._rows_at(int(self.state.global_step) - 1)
        shown = ", ".join(rows[:3]) + ("…" if len(rows) > 3 else "")
        found = [f"the rows of that step ({shown})", f"the learning rate {self._rate():.3g}"]
        broken = [
            name
            for name, weight in self.model.named_parameters()
            if weight.requires_grad and not bool(torch.isfinite(weight).all())
        ]
        if broken:
            found.append(f"{len(broken)} weights that are no numbers, first {broken[0]}")
        return f"Suspects: {'; '.join(found)}."

    def _rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def _say_eval(self, values: dict[str, float]) -> None:
        loss = values["eval_loss"]
        self._ending.see_validation(loss)
        self._end_if_early()
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

    def evaluate(self, *arguments: Any, **named: Any) -> Any:
        self._recorder.record(Stage(stage="evaluating", detail=f"step {self.step}"))
        result = super().evaluate(*arguments, **named)
        self._remember()  # reading the validation data draws a number, too
        self._recorder.record(Stage(stage="training"))
        self._pace.pause()
        return result

    # --- what the user asks ----------------------------------------------------------------------

    def _maybe_log_save_evaluate(self, *arguments: Any, **named: Any) -> None:
        self._micro_batches.begin_step()
        self._remember()
        super()._maybe_log_save_evaluate(*arguments, **named)
        wishes, settings = self._wishes, self._settings
        if self.step != self._shown_step:  # at the end of an epoch it is called once more
            self._shown_step = self.step
            if self._is_due(settings.sample_steps):
                self._aside(self.on_samples)
            if self._is_due(settings.score_steps):
                self._aside(self.on_score)
        self._obey()
        if wishes.paused and not wishes.stopping:
            why = f": {wishes.pause_reason}" if wishes.pause_reason else ""
            self._recorder.record(Stage(stage="paused", detail=f"step {self.step}{why}"))
            while wishes.paused and not wishes.stopping:
                wishes.wait_while_paused()
                self._obey()
            self._recorder.record(Stage(stage="training"))
            self._pace.pause()
        self._remember()
        if wishes.stopping and not self.control.should_training_stop:
            self._stop()

    def _is_due(self, every: int | str | None) -> bool:
        return isinstance(every, int) and self.step % every == 0 and self.step < self._total

    def _aside(self, do: Callable[[int], None] | None) -> None:
        if do is not None:
            do(self.step)
            self._recorder.record(Stage(stage="training"))
            self._pace.pause()

    def _stop(self) -> None:
        self._recorder.record(Stage(stage="stopping", detail=self._wishes.reason))
        if not self._wishes.aborting:
            self.save("stop")
        self.control.should_training_stop = True

    def _stop_within_step(self) -> None:
        """As if nothing had been done since the last whole step: what was begun is trained anew
        after a resume."""
        self.model.zero_grad(set_to_none=True)
        if self._after_step is not None:
            self._tokens = self._after_step[1]
        self._stop()
        self.callback_handler.on_train_end(self.args, self.state, self.control)

    def _remember(self) -> None:
        """The random generators and the count of tokens, as they are after a whole step."""
        self._after_step = loop_state.random_state(), self._tokens

    def _obey(self) -> None:
        if self._wishes.take("save"):
            self.save("asked for")
        if self._wishes.take("evaluate"):
            if self.eval_dataset is not None:
                self.evaluate()
            else:
                message = "there are no rows for validation, so nothing was evaluated"
                self._recorder.record(Notice(message=message))
        if self._wishes.take("score"):
            self._aside(self.on_score)

    # --- what it saves ---------------------------------------------------------------------------

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.save("interval")

    def save(self, reason: str) -> None:
        """Write the checkpoint of this step, once."""
        step = self.state.global_step
        if step == self._saved_step or step == 0:
            return
        folder = self._folder.checkpoints
        final = self._room.put(
            f"the checkpoint of step {self.step:,}",
            self._size_of_checkpoint(),
            lambda: checkpoints.write_checkpoint(folder, step, self._fill),
        )
        if not self._troubled:
            self._good_step = step
        kept = (self.best_step, self._good_step)
        checkpoints.prune(folder, self._settings.keep_checkpoints, kept)
        self._saved_step = step
        self._record.warm.unlink(missing_ok=True)  # from here on it is one run again
        path = self._place.prefix + final.relative_to(self._folder.path).as_posix()
        run = self._place.run
        self._recorder.record(Checkpoint(run=run, step=self.step, path=path, reason=reason))

    def _fill(self, folder: Path) -> None:
        random = self._after_step[0] if self._after_step else loop_state.random_state()
        write_trained(self.model, folder)
        loop_state.save_loop_state(folder, self.optimizer, self.lr_scheduler, random)
        self.state.save_to_json(str(folder / loop_state.TRAINER_STATE))
        loop_state.write_position(folder, self._position())

    def _size_of_checkpoint(self) -> int:
        """As much as the last one took; before the first, what is trained and two states of it."""
        before = checkpoints.list_checkpoints(self._folder.checkpoints)
        if before:
            return size_of(before[-1])
        weights = (weight for weight in self.model.parameters() if weight.requires_grad)
        return 3 * sum(int(weight.numel() * weight.element_size()) for weight in weights)

    def _position(self) -> loop_state.Position:
        return loop_state.Position(
            tokens=self._tokens,
            best_step=self.best_step,
            best_loss=self.best_loss,
            gained_loss=self._ending.gained_loss,
            without_gain=self._ending.without_gain,
            early=self.early_end,
            pieces=self._micro_batches.pieces,
            evaluation_due=self._evaluation_due,
        )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        load_trained(model or self.model, folder)
        position = loop_state.read_position(folder)
        self._tokens = position.tokens
        self.best_step, self.best_loss = position.best_step, position.best_loss
        self._ending.gained_loss = position.gained_loss
        self._ending.without_gain = position.without_gain
        self._ending.why = "" if self._warm else position.early
        self._saved_step = self._good_step = checkpoints.step_of(folder)
        self._micro_batches.pieces = position.pieces
        self._evaluation_due = position.evaluation_due
        self._recorded = recorded_step(
            self._record, self._place.first_step + checkpoints.step_of(folder) + 1
        )

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            self._restored_tensors = loop_state.load_loop_state(
                Path(checkpoint), self.optimizer, self.lr_scheduler, warm=self._warm
            )
            for entry in self.state.log_history:
                if "loss" in entry:
                    self._numbers.look(entry["step"], entry["loss"], entry.get("grad_norm"))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """The last thing before the first step of a resume."""
        if checkpoint is None:
            return
        loop_state.restore_random_state(Path(checkpoint))
        self._remember()
        step = int(self.state.global_step)
        epoch = int(self.state.epoch or 0) + 1
        tensors, rows = self._restored_tensors, self._rows_at(step)
        say_restored(self.step, self._rate(), tensors, epoch, rows)
        if self._evaluation_due and self.eval_dataset is not None:
            self._evaluation_due = False
            self.evaluate()
