"""What a model is asked: prompts of a file, rows of data, each with the answer that is expected."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Number
from pathlib import Path
from typing import Any

from trainer_core.config.data_section import DataSource
from trainer_core.data.conversations import Conversation, Turn, as_prompt
from trainer_core.data.formats import in_turns, reader
from trainer_core.data.formats.messages import tools_of
from trainer_core.data.formats.pairs import (
    ALPACA,
    PAIRS,
    PROMPT_COMPLETION,
    QUESTION_ANSWER,
    read_prompt,
)
from trainer_core.data.rows import Row, rows_of
from trainer_core.data.sources import open_source
from trainer_core.errors import UserError
from trainer_core.reading import read_text

# Bytes of a text file with a prompt on each line.
MOST_PROMPTS = 64 << 20
_FORMS = 'A row of a prompt file is {"prompt": "…", "expected": "…"} or {"messages": […]}.'
# What prompts and their answers are called in files that hold one, or both.
_PROMPTS = (
    *(PAIRS[name] for name in (PROMPT_COMPLETION, QUESTION_ANSWER, ALPACA)),
    {"prompt": "input"},
    {"prompt": "text"},
)
_ANSWERS = ("expected", "completion", "answer", "response", "output")


@dataclass(frozen=True)
class Asked:
    """One prompt: the turns before the answer, and the answer that is expected, if one is known.
    `where` says what row of what file it is."""

    turns: tuple[Turn, ...]
    expected: str | None = None
    where: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()

    @property
    def prompt(self) -> str | list[dict[str, Any]]:
        """See as_prompt."""
        return as_prompt(self.turns)

    @property
    def answered(self) -> Conversation:
        """With the answer that is expected. There must be one."""
        assert self.expected is not None  # noqa: S101
        turns = (*self.turns, Turn("assistant", self.expected))
        return Conversation(self.where, turns, pair=len(turns) == 2, tools=self.tools)


def asked_in_words(prompt: str) -> Asked:
    """A prompt as a person types it. Raises UserError for an empty one."""
    if not prompt.strip():
        raise UserError("the prompt is empty")
    return Asked((Turn("user", prompt),))


def asked_of(conversation: Conversation) -> Asked | None:
    """What comes before the last answer of a row; None for a text, which asks nothing."""
    found = conversation.question()
    if found is None:
        return None
    before, answer = found
    return Asked(before, answer.content, conversation.where, conversation.tools)


def asked_in_file(path: Path) -> list[Asked]:
    """The prompts of a text file, one on each line, or of the rows of a table or of JSON. Raises
    UserError."""
    if path.suffix.lower() in {".txt", ".md"}:
        lines = read_text(path, MOST_PROMPTS).splitlines()
        asked = [
            Asked((Turn("user", line.strip()),), where=f"{path}:{number}")
            for number, line in enumerate(lines, 1)
            if line.strip()
        ]
    else:
        asked = list(_rows(path))
    if not asked:
        raise UserError(f"{path} holds no prompt", hint=_FORMS)
    return asked


def _rows(path: Path) -> Iterator[Asked]:
    for row in rows_of(open_source(DataSource(path=str(path)))):
        if row.problem is not None:
            raise row.problem.error()
        yield _asked(row)


def _asked(row: Row) -> Asked:
    """A row of a form that is trained on is read as it is there; any other is a prompt, with what
    is expected beside it."""
    row = replace(row, data=_answers_as_text(row.data))
    form = in_turns(row)
    turns = reader(form)(row).turns if form is not None else _prompt_alone(row)
    expected = next((row.data[name] for name in _ANSWERS if name in row.data), None)
    if turns and turns[-1].role == "assistant":
        *before, answer = turns
        turns, given = tuple(before), row.data.get("expected")
        expected = answer.content if given is None else given
    if not turns or not (turns[-1].content.strip() or turns[-1].extra):
        raise _no_prompt(row)
    if expected is not None and not isinstance(expected, str):
        raise UserError("what is expected is no text", where=row.where, hint=_FORMS)
    return Asked(turns, expected, row.where, tools_of(row, {}))


def _prompt_alone(row: Row) -> tuple[Turn, ...]:
    columns = next((one for one in _PROMPTS if row.data.get(one["prompt"]) is not None), None)
    if columns is None:
        raise _no_prompt(row)
    return read_prompt(row, columns)


def _answers_as_text(cells: Mapping[str, Any]) -> dict[str, Any]:
    """A number is as good as its text; an answer that is null is none, but `expected` says so."""
    found = dict(cells)
    for name in _ANSWERS:
        value = found.get(name)
        if isinstance(value, Number):
            found[name] = json.dumps(value) if isinstance(value, bool) else str(value)
        elif value is None and name != "expected":
            found.pop(name, None)
    return found


def _no_prompt(row: Row) -> UserError:
    return UserError("the row has no prompt", where=row.where, hint=_FORMS)
