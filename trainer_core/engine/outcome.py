"""What comes of a run: answers to the sample prompts, the trained weights, how it ended."""

import shutil
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from trainer_core.data.asked import Asked, asked_of
from trainer_core.data.conversations import Turn
from trainer_core.engine.adapter import save_trained
from trainer_core.engine.answers import answer_asked
from trainer_core.engine.loop import Loop
from trainer_core.engine.lora import FROM_THE_BASE
from trainer_core.engine.memory import let_go
from trainer_core.engine.session import Session
from trainer_core.engine.shrink import ran_out
from trainer_core.errors import BackpropError
from trainer_core.runs.events import Answer, Finished, Notice, Samples, Scored, Stage
from trainer_core.scoring.answers import score_answers
from trainer_core.text import one_line


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
        self._said: set[str] = set()
        self._initial = self._keep_start()

    def answer(self, when: Literal["before", "during", "after"], step: int) -> None:
        """Answer the sample prompts."""
        training = self._config.training
        if not training.sample_prompts or self._control.stopping:
            return
        words = {"during": f"at step {step}"}.get(when, f"{when} training")
        self._recorder.record(Stage(stage="answering", detail=words))
        prompts = training.sample_prompts
        asked = [Asked((Turn("user", prompt),)) for prompt in prompts]
        made = self._answered(asked, training.sample_tokens, "the sample prompts")
        answers = [Answer(prompt=prompts[place], answer=text) for place, text in made.items()]
        if answers:
            self._recorder.record(Samples(when=when, step=step, answers=answers))

    def score(self, step: int) -> None:
        """Answer some rows of validation, and say how good the answers are. A stop ends it without
        a word of them."""
        training = self._config.training
        talks = self._ready.prepared.conversations("validation", training.score_rows)
        asked = [one for talk in talks if (one := asked_of(talk)) is not None]
        if not asked:
            self._say_once("no row of validation has an answer, so nothing can be scored")
            return
        self._recorder.record(Stage(stage="scoring", detail=f"{len(asked):,} rows of validation"))
        made = self._answered(asked, training.score_tokens, "the rows of validation")
        if made and not self._control.stopping:
            expected = [asked[place].expected or "" for place in made]
            scores = score_answers([*made.values()], expected)
            self._recorder.record(Scored(step=step, rows=len(made), scores=scores))

    def _answered(self, asked: Sequence[Asked], most: int, what: str) -> dict[int, str]:
        """The answers by their places, of at most so many tokens. Whatever goes wrong is said and
        ends nothing else: what is trained does not depend on it."""
        try:
            with self._session.backend.answering(self._model, self._config):
                encoder, control = self._ready.encoder, self._control
                made = answer_asked(self._model, encoder, asked, most, control)
        except Exception as error:
            self._say_once(f"{what} were not answered: {_in_words(error)}")
            return {}
        if len(made) < len(asked) and not self._control.stopping:
            left_out = f"{len(asked) - len(made):,} of {what}"
            self._say_once(f"{left_out} leave no room for an answer in the model's context")
        return made

    def _say_once(self, message: str) -> None:
        """At every validation it would be the same again."""
        if message not in self._said:
            self._said.add(message)
            self._recorder.record(Notice(message=message))

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


def _in_words(error: Exception) -> str:
    if ran_out(error):
        let_go()
        return "the memory does not hold them beside the training"
    if isinstance(error, BackpropError):
        return str(error)
    traceback.print_exc()
    return f"{one_line(f'{type(error).__name__}: {error}', limit=200)}; worker.log says where"


def _losses(loop: Loop) -> dict[str, float | None]:
    history = [entry["loss"] for entry in loop.state.log_history if "loss" in entry]
    return {
        "first_loss": history[0] if history else None,
        "last_loss": history[-1] if history else None,
        "best_eval_loss": loop.best_loss,
        "best_eval_step": loop.best_step,
    }
