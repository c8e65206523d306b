"""What comes of a run: answers to the sample prompts, the trained weights, how it ended."""

import shutil
from pathlib import Path
from typing import Any, Literal

from trainer_core.engine.adapter import save_trained
from trainer_core.engine.answers import answer_prompts
from trainer_core.engine.loop import Loop
from trainer_core.engine.lora import FROM_THE_BASE
from trainer_core.engine.preparing import Ready
from trainer_core.runs.control import Control
from trainer_core.runs.events import Finished, Samples, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder


class Outcome:
    """Says and keeps what the model has learnt."""

    def __init__(
        self,
        folder: RunFolder,
        recorder: Recorder,
        control: Control,
        backend: Any,
        ready: Ready,
        model: Any,
    ) -> None:
        self._folder = folder
        self._recorder = recorder
        self._control = control
        self._backend = backend
        self._ready = ready
        self._config = ready.run.config
        self._model = model
        tokenizer = ready.encoder.tokenizer
        self._template = tokenizer.template if self._config.model.template else None
        self._initial = self._keep_start()

    def answer(self, when: Literal["before", "during", "after"], step: int) -> None:
        """Answer the sample prompts."""
        training = self._config.training
        if not training.sample_prompts or self._control.stopping:
            return
        words = {"during": f"at step {step}"}.get(when, f"{when} training")
        self._recorder.record(Stage(stage="answering", detail=words))
        with self._backend.answering(self._model, self._config):
            answers = answer_prompts(
                self._model,
                self._ready.encoder,
                training.sample_prompts,
                training.sample_tokens,
                self._control,
            )
        self._recorder.record(Samples(when=when, step=step, answers=answers))

    def save(self, name: Literal["best", "last"]) -> Path:
        """Write what was trained, for others to use."""
        place = self._folder.trained(self._config.training.method) / name
        save_trained(self._model, place, self._ready.base, self._template, self._initial)
        return place

    def save_best(self) -> None:
        """Write what was trained: no validation was better."""
        self.save("best")

    def finish(self, loop: Loop, peak: int, elapsed: float) -> Finished:
        """After the last step: save and answer; then say how it ended. `peak` is what training took
        at most, in bytes."""
        step, control = loop.state.global_step, self._control
        saved = ""
        if not control.aborting:
            self._recorder.record(Stage(stage="saving"))
            loop.save("end")
            saved = str(self.save("last"))
        stopped = step < self._ready.run.total_steps and not loop.stopped_early
        if not stopped:
            self.answer("after", step)
            if self._config.training.remove_checkpoints:
                shutil.rmtree(self._folder.checkpoints, ignore_errors=True)
        return Finished(
            outcome="stopped" if stopped else "finished",
            step=step,
            elapsed=elapsed,
            saved=saved,
            message=self._ending(loop, step, stopped),
            summary=self._summary(loop, peak),
        )

    def _keep_start(self) -> Path | None:
        """The adapter as it starts, where it takes weights out of the base: without it, what is
        trained means nothing to the base as others have it. A resumed run has it already."""
        if self._config.lora.init not in FROM_THE_BASE:
            return None
        place = self._folder.adapter / "initial"
        if not place.is_dir():
            save_trained(self._model, place, self._ready.base)
        return place

    def _summary(self, loop: Loop, peak: int) -> dict[str, float | None]:
        history = [entry["loss"] for entry in loop.state.log_history if "loss" in entry]
        return {
            "first_loss": history[0] if history else None,
            "last_loss": history[-1] if history else None,
            "best_eval_loss": loop.best_loss,
            "best_eval_step": loop.best_step,
            **self._memory(loop, peak),
        }

    def _memory(self, loop: Loop, peak: int) -> dict[str, float | None]:
        """The peak beside the estimate, in bytes, and the signed error of the estimate."""
        plan = self._ready.run.memory
        if plan is None or loop.state.global_step == 0:
            return {"memory_peak": peak}
        return {
            "memory_peak": peak,
            "memory_estimate": plan.total,
            "memory_error": plan.total / peak - 1,
        }

    def _ending(self, loop: Loop, step: int, stopped: bool) -> str:
        why = f" ({self._control.reason})" if self._control.reason else ""
        if loop.stopped_early:
            patience = self._config.training.patience
            return f"ended at step {step}: {patience} validations brought no better loss"
        if not stopped:
            return ""
        if self._control.aborting:
            return f"aborted at step {step}{why}"
        return f"stopped and saved at step {step}{why}"
