"""The preview job: prepares the data exactly as training would, then answers questions about it.

Answers hold rows, perhaps decrypted ones, so they only ever go over the wire.
"""

import logging
import threading
import time
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from trainer_core.config.data_section import SplitName
from trainer_core.config.load import load_config
from trainer_core.config.schema import RunConfig
from trainer_core.data.questions import (
    AnyQuestion,
    AskPlace,
    AskReport,
    AskRow,
    AskSearch,
    Found,
    Overview,
    parse_question,
)
from trainer_core.data.row_view import Previewed, shortened
from trainer_core.errors import BackpropError
from trainer_core.runs.control import Control, Question
from trainer_core.runs.events import Finished, Progress, Reply, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.2


def preview(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
    """Prepare the data of the folder's config, then answer until the job is stopped.

    Data that cannot be prepared does not end the job: whoever asks is told why.
    """
    began = time.monotonic()
    answering = Answering(recorder)
    try:
        answering.prepared = _prepare(load_config(folder.config).config, recorder)
    except BackpropError as error:
        answering.problem = str(error)
    recorder.record(Stage(stage="answering"))
    while (question := control.next_question()) is not None:
        answering.take(question)
    return Finished(outcome="stopped", step=0, elapsed=time.monotonic() - began)


def _prepare(config: RunConfig, recorder: Recorder) -> Previewed:
    from trainer_core.tokens.look import look  # type: ignore[import-not-found, import-untyped, unused-ignore]

    said = 0.0

    def progress(rows: int, seconds: float) -> None:
        nonlocal said
        if time.monotonic() - said >= PROGRESS_SECONDS:
            said = time.monotonic()
            rate = rows / seconds if seconds else None
            recorder.record(Progress(stage="tokenizing", done=rows, unit="rows", rate=rate))

    recorder.record(Stage(stage="tokenizing", detail=config.data.train[0].name))
    config.data.problems = "skip"  # every problem is listed; none of them ends a look at the rows
    prepared: Previewed = look(config, progress=progress)
    return prepared


class Answering:
    """Answers questions in order; a search has a thread of its own, so that rows need not wait."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.prepared: Previewed | None = None
        self.problem = ""

    def take(self, question: Question) -> None:
        """Answer one question, now or as soon as it can be."""
        try:
            asked = parse_question(question.about)
        except ValidationError:
            self._say(question.id, error="this version does not know that question")
            return
        if isinstance(asked, AskSearch):
            threading.Thread(target=self._reply, args=[question.id, asked], daemon=True).start()
        else:
            self._reply(question.id, asked)

    def _reply(self, number: str, asked: AnyQuestion) -> None:
        try:
            if self.prepared is None:
                self._say(number, error=self.problem)
            else:
                self._say(number, _answer(self.prepared, asked))
        except IndexError:
            self._say(number, error="there is no such row")
        except BackpropError as error:
            self._say(number, error=str(error))
        except Exception as error:  # one row that cannot be shown must not end the rest
            log.warning("a question about %s failed: %s", asked.about, type(error).__name__)
            self._say(number, error=f"this cannot be shown ({type(error).__name__})")

    def _say(self, number: str, answer: BaseModel | None = None, error: str = "") -> None:
        data = sendable(answer.model_dump()) if answer is not None else {}
        self._recorder.say(Reply(id=number, answer=data, error=sendable(error)))


def _answer(prepared: Previewed, asked: AnyQuestion) -> BaseModel:
    if isinstance(asked, AskReport):
        rows = {split: prepared.rows_in(split) for split in get_args(SplitName)}
        return Overview(
            report=prepared.report, rows={split: count for split, count in rows.items() if count}
        )
    if isinstance(asked, AskRow):
        return shortened(prepared.view(asked.split, asked.index))
    if isinstance(asked, AskPlace):
        return shortened(prepared.view(*prepared.place(asked.row)))
    return Found(index=prepared.search(asked.split, asked.text, asked.start))


def sendable(value: Any) -> Any:
    """`value` with lone surrogates replaced: rows may hold them, UTF-8 cannot."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: sendable(item) for key, item in value.items()}
    return [sendable(item) for item in value] if isinstance(value, list) else value
