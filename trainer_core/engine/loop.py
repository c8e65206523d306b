"""The training loop: TRL's SFTTrainer, subclassed once. Its loop is kept; what it reads, says and
saves is ours.
"""

import shutil
import time
from collections import deque
from pathlib import Path
from typing import Any

import torch
from trl import SFTConfig, SFTTrainer

from trainer_core.config.schema import RunConfig
from trainer_core.engine import checkpoint as checkpoints
from trainer_core.engine.adapter import load_adapter_weights, write_adapter
from trainer_core.engine.batches import EpochOrder
from trainer_core.runs.control import Control
from trainer_core.runs.events import Checkpoint, Eval, Metrics, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder

# What the loop says beside losses at its very end; it is in the `finished` event.
_SUMMARY = "train_runtime"
# What an event says by itself already.
_COUNTED = {"epoch", "num_tokens"}


def loop_config(
    config: RunConfig, total_steps: int, folder: RunFolder, has_eval: bool
) -> SFTConfig:
    """The run's settings in TRL's words. Loss is over trained tokens, averaged over the whole
    effective batch."""
    training = config.training
    bfloat16 = config.model.dtype == "bfloat16"
    return SFTConfig(
        output_dir=str(folder.checkpoints),  # TRL writes nothing there: saving is ours
        max_steps=total_steps,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.scheduler,
        warmup_steps=training.warmup_steps,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        optim="adamw_torch",
        seed=training.seed,
        bf16=bfloat16 and torch.cuda.is_available(),
        fp16=config.model.dtype == "float16" and torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="steps" if has_eval else "no",
        eval_steps=training.eval_steps if has_eval else None,
        metric_for_best_model="loss" if has_eval else None,
        greater_is_better=False if has_eval else None,
        save_strategy="steps",
        save_steps=training.save_steps,
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is not a number must be seen
        gradient_checkpointing=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        max_length=None,  # TRL would cut at 1,024 tokens
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        disable_tqdm=True,
        report_to="none",
        push_to_hub=False,
    )


class Loop(SFTTrainer):  # type: ignore[misc]
    """Trains, says each step, saves checkpoints of our own, and does what the user asks between
    steps."""

    def __init__(
        self, *, folder: RunFolder, recorder: Recorder, wishes: Control, keep: int, **arguments: Any
    ) -> None:
        self._folder = folder
        self._recorder = recorder
        self._wishes = wishes
        self._keep = keep
        self._started = time.monotonic()
        self._step_ends: deque[tuple[float, int]] = deque(maxlen=20)
        self._tokens = 0
        self._saved_step = -1
        self.best_step: int | None = None
        self.best_loss: float | None = None
        self.on_best: Any = None
        super().__init__(**arguments)
        # Progress on a terminal is the client's work; stdout goes to worker.log.
        for callback in list(self.callback_handler.callbacks):
            if type(callback).__name__ in {"PrinterCallback", "ProgressCallback"}:
                self.remove_callback(callback)

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
        now = time.monotonic()
        self._step_ends.append((now, self._tokens))
        rate = left = None
        if len(self._step_ends) > 1:
            (first, before), steps = self._step_ends[0], len(self._step_ends) - 1
            span = max(now - first, 1e-9)
            rate = (self._tokens - before) / span
            left = span / steps * (self.state.max_steps - self.state.global_step)
        self._wishes.step = self.state.global_step
        self._recorder.record(
            Metrics(
                step=self.state.global_step,
                total_steps=self.state.max_steps,
                epoch=self.state.epoch or 0.0,
                elapsed=now - self._started,
                values={name: value for name, value in values.items() if name not in _COUNTED},
                tokens=self._tokens,
                tokens_per_second=rate,
                seconds_left=left,
            )
        )

    def _say_eval(self, values: dict[str, float]) -> None:
        loss = values["eval_loss"]
        best = self.best_loss is None or loss < self.best_loss
        if best:
            self.best_loss, self.best_step = loss, self.state.global_step
        self._recorder.record(
            Eval(
                step=self.state.global_step,
                total_steps=self.state.max_steps,
                epoch=self.state.epoch or 0.0,
                loss=loss,
                best=best,
                values=dict(values),
            )
        )
        if best and self.on_best is not None:
            self.on_best()

    def evaluate(self, *arguments: Any, **named: Any) -> Any:
        self._recorder.record(Stage(stage="evaluating", detail=f"step {self.state.global_step}"))
        result = super().evaluate(*arguments, **named)
        self._recorder.record(Stage(stage="training"))
        # The time spent here is not the time of a step.
        self._step_ends.clear()
        return result

    # --- what the user asks ----------------------------------------------------------------------

    def _maybe_log_save_evaluate(self, *arguments: Any, **named: Any) -> None:
        super()._maybe_log_save_evaluate(*arguments, **named)
        wishes = self._wishes
        self._obey()
        if wishes.paused and not wishes.stopping:
            self._recorder.record(Stage(stage="paused", detail=f"step {self.state.global_step}"))
            while wishes.paused and not wishes.stopping:
                wishes.wait_while_paused()
                self._obey()
            self._recorder.record(Stage(stage="training"))
            self._step_ends.clear()
        if wishes.stopping:
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
        write_adapter(self.model, temporary)
        checkpoints.save_loop_state(temporary, self.optimizer, self.lr_scheduler)
        self.state.save_to_json(str(temporary / checkpoints.TRAINER_STATE))
        checkpoints.write_position(temporary, self._tokens, self.best_step, self.best_loss)
        checkpoints.finish(temporary, final)
        checkpoints.prune(self._folder.checkpoints, self._keep, self.best_step)
        self._saved_step = step
        path = final.relative_to(self._folder.path).as_posix()
        self._recorder.record(Checkpoint(step=step, path=path, reason=reason))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        load_adapter_weights(model or self.model, folder)
        position = checkpoints.read_position(folder)
        self._tokens = position.tokens
        self.best_step, self.best_loss = position.best_step, position.best_loss
        self._saved_step = checkpoints.step_of(folder)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            checkpoints.load_loop_state(Path(checkpoint), self.optimizer, self.lr_scheduler)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            checkpoints.restore_random_state(Path(checkpoint))
