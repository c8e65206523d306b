"""What comes of a run: answers to the sample prompts, the trained weights, how it ended."""

import shutil
from pathlib import Path
from typing import Literal

from trainer_core.config.sampling import Sampling
from trainer_core.data.asked import asked_of
from trainer_core.engine.adapter import save_trained
from trainer_core.engine.answers import answer_prompts
from trainer_core.engine.generate import generate, ids_of
from trainer_core.engine.loop import Loop
from trainer_core.engine.lora import FROM_THE_BASE
from trainer_core.engine.session import Session
from trainer_core.errors import StoppedError
from trainer_core.runs.events import Finished, Notice, Samples, Scored, Stage
from trainer_core.scoring.answers import score_answers


class Outcome:
    """Says and keeps what the model has learnt."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._folder = session.folder
        self._recorder = session.recorder
        self._control = session.control
        self._ready = session.ready
        self._config = session.config
        self._model = session.model
        tokenizer = session.ready.encoder.tokenizer
        self._template = tokenizer.template if self._config.model.template else None
        self._initial = self._keep_start()

    def answer(self, when: Literal["before", "during", "after"], step: int) -> None:
        """Answer the sample prompts."""
        training = self._config.training
        if not training.sample_prompts or self._control.stopping:
            return
        words = {"during": f"at step {step}"}.get(when, f"{when} training")
        self._recorder.record(Stage(stage="answering", detail=words))
        with self._session.backend.answering(self._model, self._config):
            answers = answer_prompts(
                self._model,
                self._ready.encoder,
                training.sample_prompts,
                training.sample_tokens,
                self._control,
            )
        self._recorder.record(Samples(when=when, step=step, answers=answers))

    def score(self, step: int) -> None:
        """Answer some rows of validation, and say how good the answers are. A stop ends it without
        a word of them."""
        talks = self._ready.prepared.conversations("validation", self._config.training.score_rows)
        asked = [one for talk in talks if (one := asked_of(talk)) is not None]
        if not asked:
            self._recorder.record(
                Notice(message="no row of validation has an answer, so nothing can be scored")
            )
            return
        self._recorder.record(Stage(stage="scoring", detail=f"{len(asked):,} rows of validation"))
        encoder, most = self._ready.encoder, self._config.training.score_tokens
        prompts = [ids_of(encoder, one.turns, one.tools) for one in asked]
        answers = [""] * len(asked)
        try:
            with self._session.backend.answering(self._model, self._config):
                made = generate(
                    self._model, encoder, prompts, Sampling(most), control=self._control
                )
                for place, answer in made:
                    answers[place] = answer.text
        except StoppedError:
            return
        scores = score_answers(answers, [one.expected or "" for one in asked])
        self._recorder.record(Scored(step=step, rows=len(asked), scores=scores))

    def save(self, name: Literal["best", "last"]) -> Path:
        """Write what was trained, for others to use."""
        return self.save_to(self._folder.trained(self._config.training.method) / name)

    def save_to(self, place: Path) -> Path:
        """The same in a folder of another name, as soon as there is room."""
        weights = (weight for weight in self._model.parameters() if weight.requires_grad)
        needed = sum(weight.numel() * weight.element_size() for weight in weights)

        def write() -> None:
            save_trained(self._model, place, self._ready.base, self._template, self._initial)

        self._session.room.put(f"what was trained ({place.name})", needed, write)
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
        stopped = not loop.complete
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
            summary={**_losses(loop), **self.memory(peak, step)},
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

    def memory(self, peak: int, step: int) -> dict[str, float | None]:
        """The peak beside the estimate, in bytes, and the signed error of the estimate."""
        plan = self._ready.run.memory
        if plan is None or step == 0:
            return {"memory_peak": peak}
        return {
            "memory_peak": peak,
            "memory_estimate": plan.total,
            "memory_error": plan.total / peak - 1,
        }

    def _ending(self, loop: Loop, step: int, stopped: bool) -> str:
        why = f" ({self._control.reason})" if self._control.reason else ""
        if loop.early_end:
            return f"ended at step {step}: {loop.early_end}"
        if not stopped:
            return ""
        if self._control.aborting:
            return f"aborted at step {step}{why}"
        return f"stopped and saved at step {step}{why}"


def _losses(loop: Loop) -> dict[str, float | None]:
    history = [entry["loss"] for entry in loop.state.log_history if "loss" in entry]
    return {
        "first_loss": history[0] if history else None,
        "last_loss": history[-1] if history else None,
        "best_eval_loss": loop.best_loss,
        "best_eval_step": loop.best_step,
    }
