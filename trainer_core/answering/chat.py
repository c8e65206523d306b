"""The chat job: a model that stays loaded and goes on with conversations, piece by piece.

What is said only ever goes over the wire; whoever asks keeps the conversation.
"""

import time
import traceback
from collections.abc import Sequence

import psutil
import torch
from pydantic import ValidationError

from trainer_core.answering.models import AskedModel, load_asked, name_of, subject_of
from trainer_core.config.predict_section import ModelRequest
from trainer_core.data.chat import Ended, Hush, Said, Say, how_it_ended, parse_words
from trainer_core.engine.base_model import quieten
from trainer_core.engine.memory import let_go, measured_peak
from trainer_core.engine.shrink import ran_out
from trainer_core.errors import BackpropError, StoppedError, UserError
from trainer_core.runs.control import Control, Question
from trainer_core.runs.events import Finished, Reply, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.text import size

# Between two pieces of an answer: a screen is drawn no more often.
PIECE_SECONDS = 0.1
BUSY = "an answer is being given already; stop it, or wait for its end"


def chat(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
    """Load what `request.json` names, and answer until the job is stopped. Raises UserError for
    what cannot be loaded."""
    began = time.monotonic()
    request = ModelRequest.model_validate_json((folder.path / "request.json").read_bytes())
    quieten(offline=False)
    subject = subject_of(request)
    recorder.record(Stage(stage="loading", detail=name_of(request, subject)))
    model = load_asked(request, subject)
    recorder.record(Stage(stage="answering", detail=f"{model.runtime}, {_memory(model)}"))
    conversing = _Conversing(model, recorder, control)
    while (question := control.next_question()) is not None:
        conversing.take(question)
    return Finished(outcome="stopped", step=0, elapsed=time.monotonic() - began)


def _memory(model: AskedModel) -> str:
    """What the model takes, in words."""
    if model.runtime == "transformers" and torch.cuda.is_available():
        return f"{size(measured_peak())} of the GPU"
    return size(psutil.Process().memory_info().rss)


class _Conversing:
    """Answers one question at a time. Between two tokens it looks for others: one may end the
    answer, the rest are refused."""

    def __init__(self, model: AskedModel, recorder: Recorder, control: Control) -> None:
        self._model = model
        self._recorder = recorder
        self._control = control

    def take(self, question: Question) -> None:
        """Answer a question."""
        try:
            asked = parse_words(question.about)
            said = self._say(question.id, asked) if isinstance(asked, Say) else Said()
        except ValidationError:
            self._refuse(question.id, "this version does not know that question")
        except BackpropError as error:
            self._refuse(question.id, str(error))
        except Exception as error:
            self._refuse(question.id, _in_words(error))
        else:
            self._reply(question.id, said)

    def _say(self, number: str, asked: Say) -> Said:
        began = said_at = time.monotonic()
        prompt = self._model.ids(asked.turns, asked.tools)
        room = self._room(len(prompt))
        ids: list[int] = []

        def hear(token: int) -> None:
            nonlocal said_at
            ids.append(token)
            if self._is_hushed():
                raise StoppedError("enough")
            if time.monotonic() - said_at >= PIECE_SECONDS:
                said_at = time.monotonic()
                self._reply(number, self._said(ids, began), part=True)

        stopped = True
        try:
            if not self._is_hushed():
                self._model.say(prompt, asked.sampling, hear)
                stopped = False
        except StoppedError:
            pass
        by_itself = bool(ids) and self._model.ends(ids[-1])
        ended = how_it_ended(len(ids), room, by_itself=by_itself)
        if stopped and not by_itself:
            ended = "stopped"
        return self._said(ids, began, ended)

    def _room(self, tokens: int) -> int | None:
        """How many tokens an answer may have at most; None where no limit is known."""
        context = self._model.context
        if context is not None and tokens >= context:
            raise UserError(
                f"the conversation has {tokens:,} tokens, and the model's context is {context:,}",
                hint="Begin a new one, or ask in fewer words: an answer needs room too.",
            )
        return context - tokens if context is not None else None

    def _is_hushed(self) -> bool:
        """Whether the answer shall end; other questions that came meanwhile are refused."""
        hushed = False
        while (question := self._control.take_question()) is not None:
            if question.about.get("about") == Hush().about:
                hushed = True
                self._reply(question.id, Said())
            else:
                self._refuse(question.id, BUSY)
        return hushed

    def _said(self, ids: Sequence[int], began: float, ended: Ended = "") -> Said:
        text = self._model.text(ids)
        if not ended:  # half a character, and space that may be the end, wait for what comes next
            text = text.rstrip("\N{REPLACEMENT CHARACTER}").rstrip()
        seconds = time.monotonic() - began
        return Said(text=text, tokens=len(ids), seconds=seconds, ended=ended)

    def _reply(self, number: str, said: Said, *, part: bool = False) -> None:
        self._recorder.say(Reply(id=number, answer=said.model_dump(), part=part))

    def _refuse(self, number: str, why: str) -> None:
        self._recorder.say(Reply(id=number, error=why))


def _in_words(error: Exception) -> str:
    """Why there is no answer. The model stays: the next question may have one."""
    if ran_out(error):
        let_go()
        return "the memory does not hold this conversation: begin a new one, or free some"
    traceback.print_exc()
    return f"the model could not answer ({type(error).__name__}); worker.log says where"
