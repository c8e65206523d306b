"""Which format a source has, and how its rows are read.

First match wins, over the rows looked at in their order: preference pairs and KTO rows (refused),
prompt and completion, messages, Alpaca, question and answer, text. What the config says of the
columns comes before all of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from trainer_core.data.conversations import Conversation
from trainer_core.data.formats.cells import Columns, listed, quoted
from trainer_core.data.formats.mapping import checked
from trainer_core.data.formats.messages import (
    OPENAI,
    SHAREGPT,
    format_of_messages,
    read_openai,
    read_sharegpt,
)
from trainer_core.data.formats.pairs import (
    ALPACA,
    PAIRS,
    PROMPT_COMPLETION,
    QUESTION_ANSWER,
    read_pair,
)
from trainer_core.data.formats.texts import RAW, TEMPLATED, chat_mark, read_raw, read_templated
from trainer_core.data.problems import RowError
from trainer_core.data.rows import Row
from trainer_core.errors import UserError

LOOKED_AT = 100
UNKNOWN = "unknown"

_READERS: dict[str, Callable[[Row, Columns], Conversation]] = {
    OPENAI: read_openai,
    SHAREGPT: read_sharegpt,
    TEMPLATED: read_templated,
    RAW: read_raw,
    **dict.fromkeys(PAIRS, read_pair),
}
_HINT = (
    "Known: messages or conversations, prompt + completion, instruction + output, question + "
    "answer, text. Others: say which column is what, as in "
    "columns: {prompt: question, completion: reply}."
)


@dataclass(frozen=True)
class Detection:
    """The format of a source: its name, why it was taken for that, and where its cells are (our
    names of fields to the columns that hold them). It can be pickled."""

    format: str
    why: str
    columns: dict[str, str] = field(default_factory=dict)


def detect(rows: Iterable[Row], columns: Mapping[str, str]) -> Detection:
    """The format of the first rows that can be read; `columns` maps our fields to theirs.

    `unknown` where none of the first rows can be read, so that each can be reported. Raises
    UserError where the keys fit no format, where the rows are for another kind of training, or
    where `columns` names what is not there.
    """
    seen = [row for row in islice(rows, LOOKED_AT) if row.problem is None]
    if not seen:
        return Detection(UNKNOWN, "none of the first rows can be read")
    mapped = checked(columns, seen)
    if "messages" in mapped or "prompt" in mapped or "text" in mapped:
        return _as_mapped(mapped, seen)
    found = next((found for row in seen if (found := _by_keys(row, seen))), None)
    if found is None:
        raise UserError(
            f"the format is not known (keys: {listed(seen[0].data)})",
            where=seen[0].where,
            hint=_HINT,
        )
    return Detection(found.format, found.why, {**found.columns, **mapped})


def reader(detection: Detection) -> Callable[[Row], Conversation]:
    """What turns the rows of a source into conversations; made anew in each process.

    It raises RowError for a row that cannot be one.
    """
    read = _READERS.get(detection.format, _read_unknown)
    columns = detection.columns

    def read_row(row: Row) -> Conversation:
        problem = row.problem
        if problem is not None:
            raise RowError(problem.kind, problem.message, where=problem.where, hint=problem.hint)
        return read(row, columns)

    return read_row


def in_turns(row: Row) -> Detection | None:
    """The format of one row by its keys, if it is one of prompts and answers."""
    cells = row.data
    if {"prompt", "completion"} <= cells.keys():
        return _pair(PROMPT_COMPLETION)
    for column in ["messages", "conversations", *cells]:
        if form := format_of_messages(cells.get(column)):
            return _messages(form, column)
    for name in (ALPACA, QUESTION_ANSWER):
        if {PAIRS[name]["prompt"], PAIRS[name]["completion"]} <= cells.keys():
            return _pair(name)
    return None


def _by_keys(row: Row, seen: list[Row]) -> Detection | None:
    _refuse_other_training(row)
    if found := in_turns(row):
        return found
    return _text("text", seen) if isinstance(row.data.get("text"), str) else None


def _refuse_other_training(row: Row) -> None:
    cells = row.data
    if {"chosen", "rejected"} <= cells.keys():
        column = (
            "messages: chosen"
            if format_of_messages(cells["chosen"])
            else ("prompt: prompt, completion: chosen")
        )
        raise UserError(
            "these rows are preference pairs (chosen and rejected), which teach a model what to "
            "prefer; this training learns answers as they stand",
            where=row.where,
            hint=f"To learn the chosen answers: columns: {{{column}}}.",
        )
    if {"prompt", "completion"} <= cells.keys() and isinstance(cells.get("label"), bool):
        raise UserError(
            "these rows are for KTO (prompt, completion, and a label that says whether the "
            "completion is good); this training learns answers as they stand, the bad ones too",
            where=row.where,
            hint="Keep the rows whose label is true, without the label.",
        )


def _pair(name: str) -> Detection:
    columns = PAIRS[name]
    return Detection(
        name, f"the rows have `{columns['prompt']}` and `{columns['completion']}`", columns
    )


def _messages(form: str, column: str) -> Detection:
    keys = "{role, content}" if form == OPENAI else "{from, value}"
    return Detection(form, f"`{quoted(column)}` is a list of {keys}", {"messages": column})


def _text(column: str, seen: list[Row]) -> Detection:
    mark = chat_mark([text for row in seen if isinstance(text := row.data.get(column), str)])
    if mark is not None:
        why = f"`{quoted(column)}` holds {mark}, a mark of a chat template"
        return Detection(TEMPLATED, why, {"text": column})
    return Detection(RAW, f"`{quoted(column)}` is text without marks of a chat", {"text": column})


def _as_mapped(mapped: Columns, seen: list[Row]) -> Detection:
    """The format that goes with the fields that the config names."""
    found: Detection
    if "text" in mapped:
        found = _text(mapped["text"], seen)
    elif "prompt" in mapped:
        found = Detection(PROMPT_COMPLETION, "")
    else:
        column = mapped["messages"]
        forms = [form for row in seen if (form := format_of_messages(row.data.get(column)))]
        if not forms:
            raise UserError(
                f"`{quoted(column)}` holds no list of messages in the first rows",
                where=seen[0].where,
                hint="Messages are a list of {role, content} or of {from, value}.",
            )
        found = _messages(forms[0], column)
    said = ", ".join(f"{name} is `{quoted(column)}`" for name, column in mapped.items())
    why = f"column mapping from the config: {said}"
    return Detection(found.format, why, dict(mapped))


def _read_unknown(row: Row, _columns: Columns) -> Conversation:
    message = "what format this is in is not known: none of the first rows can be read"
    raise RowError("another format", message, where=row.where)
