"""The preview job: prepares the data exactly as training would, and answers questions about it:
about single rows at once, about all of them when they are prepared.

Answers hold rows, perhaps decrypted ones, so they only ever go over the wire.
"""

import logging
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from trainer_core.config.data_section import SplitName
from trainer_core.config.load import load_config
from trainer_core.data.questions import (
    AnyQuestion,
    AskPlace,
    AskPrompt,
    AskReport,
    AskRow,
    AskSearch,
    Found,
    Overview,
    parse_question,
)
from trainer_core.errors import BackpropError, StoppedError
from trainer_core.runs.control import Control, Question
from trainer_core.runs.events import Finished, Progress, Reply, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.tokens.look import look, look_at_rows
from trainer_core.tokens.prepare import Prepared
from trainer_core.tokens.row_views import RowsAsRead

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.2
# How long to wait for half-made tokens to be thrown away.
END_SECONDS = 15.0


def preview(folder: RunFolder, recorder: Recorder, control: Control) -> Finished:
    """Prepare the data of the folder's config, and answer until the job is stopped.

    Data that cannot be prepared does not end the job: whoever asks is told why.
    """
    began = time.monotonic()
    answering = Answering(recorder)
    control.holds_work = True  # of the cache: half of it must not stay
    preparing = threading.Thread(target=_prepare, args=[folder, recorder, control, answering])
    preparing.start()
    while (question := control.next_question()) is not None:
        answering.take(question)
    preparing.join(END_SECONDS)
    return Finished(outcome="stopped", step=0, elapsed=time.monotonic() - began)


def _prepare(
    folder: RunFolder, recorder: Recorder, control: Control, answering: "Answering"
) -> None:
    try:
        config = load_config(folder.config).config
        recorder.record(Stage(stage="tokenizing", detail=config.data.train[0].name))
        answering.know(rows=look_at_rows(config))
        answering.know(prepared=look(config, progress=_progress(recorder, control)))
        recorder.record(Stage(stage="answering"))
    except BackpropError as error:
        answering.know(problem=str(error))
    except Exception as error:
        traceback.print_exc()
        answering.know(problem=f"the data could not be prepared ({type(error).__name__})")


def _progress(recorder: Recorder, control: Control) -> Callable[[int, float], None]:
    said = 0.0

    def progress(rows: int, seconds: float) -> None:
        nonlocal said
        if control.stopping:
            raise StoppedError("nobody looks any more")
        if time.monotonic() - said >= PROGRESS_SECONDS:
            said = time.monotonic()
            rate = rows / seconds if seconds else None
            recorder.record(Progress(stage="tokenizing", done=rows, unit="rows", rate=rate))

    return progress


class Answering:
    """Answers questions as soon as enough is known; a search has a thread of its own, so that rows
    need not wait."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._rows: RowsAsRead | None = None
        self._prepared: Prepared | None = None
        self._problem = ""
        self._waiting: list[tuple[str, AnyQuestion]] = []
        self._lock = threading.Lock()

    def know(
        self,
        *,
        rows: RowsAsRead | None = None,
        prepared: Prepared | None = None,
        problem: str = "",
    ) -> None:
        """More is known: single rows, all of them, or what went wrong. Who waited is answered."""
        with self._lock:
            self._rows = rows or self._rows
            self._prepared, self._problem = prepared, problem
            waiting, self._waiting = self._waiting, []
        for number, asked in waiting:
            self._reply(number, asked)

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
        with self._lock:
            prepared, rows, problem = self._prepared, self._rows, self._problem
            early = rows is not None and isinstance(asked, AskPlace)
            if prepared is None and not problem and not early:
                self._waiting.append((number, asked))
                return
        try:
            if prepared is not None:
                self._say(number, _answer(prepared, asked))
            elif rows is not None and isinstance(asked, AskPlace):
                self._say(number, rows.view(asked.row, asked.chunk, asked.index))
            else:
                self._say(number, error=problem)
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


def _answer(prepared: Prepared, asked: AnyQuestion) -> BaseModel:
    if isinstance(asked, AskReport):
        rows = {split: prepared.rows_in(split) for split in get_args(SplitName)}
        return Overview(
            report=prepared.report, rows={split: count for split, count in rows.items() if count}
        )
    if isinstance(asked, AskRow):
        return prepared.view(asked.split, asked.index)
    if isinstance(asked, AskPlace):
        return prepared.view(*prepared.place(asked.row))
    if isinstance(asked, AskPrompt):
        return prepared.prompt(asked.split, asked.index)
    return Found(index=prepared.search(asked.split, asked.text, asked.start))


def sendable(value: Any) -> Any:
    """`value` with lone surrogates replaced: rows may hold them, UTF-8 cannot."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: sendable(item) for key, item in value.items()}
    return [sendable(item) for item in value] if isinstance(value, list) else value
