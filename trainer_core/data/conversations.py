"""Rows to conversations: which format a file has is told by its keys, never by its name."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from trainer_core.data.rows import Row
from trainer_core.errors import UserError

ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "tool": "tool",
}


@dataclass(frozen=True)
class Turn:
    """One message."""

    role: str
    content: str


@dataclass(frozen=True)
class Conversation:
    """The messages of a row. A `pair` is one prompt and one answer, which a model without a chat
    template can learn too."""

    where: str
    turns: tuple[Turn, ...]
    pair: bool = False


@dataclass(frozen=True)
class Format:
    """A way of writing rows: its name, how to know it, and how to read it."""

    name: str
    matches: Callable[[dict[str, Any]], bool]
    read: Callable[[Row], Conversation]


def detect(rows: Iterable[Row]) -> Format:
    """The format of the first rows. Raises UserError naming the keys if there is none that fits."""
    row = next(iter(rows), None)
    if row is None:
        raise UserError("the data file has no rows", hint="It needs one JSON object a line.")
    for known in FORMATS:
        if known.matches(row.data):
            return known
    for name, keys in _UNFIT.items():
        if keys <= row.data.keys():
            raise UserError(
                f"these rows are {name}, which are not for this training", where=row.where
            )
    keys_found = ", ".join(map(repr, sorted(row.data)[:8])) or "none"
    raise UserError(
        f"the format is not known (keys: {keys_found})",
        where=row.where,
        hint="Known: messages, conversations, instruction + output, prompt + completion, "
        "question + answer.",
    )


def read_conversations(rows: Iterable[Row], form: Format) -> Iterator[Conversation]:
    """Each row as a conversation. Raises UserError naming the row that does not fit."""
    for row in rows:
        if not form.matches(row.data):
            raise UserError(
                f"this row is not in the format of the first ({form.name})",
                where=row.where,
                hint=f"Its keys: {', '.join(sorted(row.data)[:8]) or 'none'}.",
            )
        yield form.read(row)


def _messages(row: Row, key: str, role_key: str, content_key: str) -> Conversation:
    turns = []
    for number, message in enumerate(row.data[key], 1):
        where = f"{row.where}, message {number}"
        if not isinstance(message, dict):
            raise UserError("a message must be an object", where=where)
        role = ROLES.get(str(message.get(role_key)).lower())
        if role is None:
            raise UserError(
                f"the role {message.get(role_key)!r} is not known",
                where=where,
                hint="Roles: system, user, assistant, tool.",
            )
        turns.append(Turn(role, _content(message.get(content_key), where)))
    conversation = Conversation(row.where, tuple(turns))
    if not any(turn.role == "assistant" for turn in turns):
        raise UserError(
            "no turn of the assistant, so there is nothing to learn",
            where=row.where,
            hint="Remove the row, or add the answer.",
        )
    return conversation


def _content(value: object, where: str) -> str:
    """A message's text; content parts of type text are joined."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        texts = [part.get("text") for part in value if part.get("type") == "text"]
        if len(texts) == len(value) and all(isinstance(text, str) for text in texts):
            return "".join(str(text) for text in texts)
        raise UserError("content parts other than text cannot be trained on", where=where)
    raise UserError(f"the content is {_kind(value)}, not text", where=where)


def _pair(row: Row, prompt: str, completion: str, extra: str = "") -> Conversation:
    question = _content(row.data[prompt], f"{row.where}, {prompt}")
    added = row.data.get(extra) if extra else None
    if added:
        question = f"{question}\n\n{_content(added, f'{row.where}, {extra}')}"
    answer = _content(row.data[completion], f"{row.where}, {completion}")
    turns: tuple[Turn, ...] = (Turn("user", question), Turn("assistant", answer))
    system = row.data.get("system")
    if isinstance(system, str) and system:
        turns = (Turn("system", system), *turns)
    return Conversation(row.where, turns, pair=True)


def _prompt_completion(row: Row) -> Conversation:
    """Plain strings, or the conversational form in which both are lists of messages."""
    prompt, completion = row.data["prompt"], row.data["completion"]
    if isinstance(prompt, list) or isinstance(completion, list):
        before = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
        after = (
            completion
            if isinstance(completion, list)
            else [{"role": "assistant", "content": completion}]
        )
        joined = Row(row.path, row.line, {"messages": [*before, *after]})
        return _messages(joined, "messages", "role", "content")
    return _pair(row, "prompt", "completion")


def _is_list_of(data: dict[str, Any], key: str, first: str) -> bool:
    value = data.get(key)
    return (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict) and first in value[0]
    )


def _kind(value: object) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"


# First match wins. Preference pairs and KTO rows also have a prompt, so they are told apart first.
FORMATS: tuple[Format, ...] = (
    Format(
        "OpenAI messages",
        lambda data: _is_list_of(data, "messages", "role"),
        lambda row: _messages(row, "messages", "role", "content"),
    ),
    Format(
        "ShareGPT",
        lambda data: _is_list_of(data, "conversations", "from"),
        lambda row: _messages(row, "conversations", "from", "value"),
    ),
    Format(
        "OpenAI messages in conversations",
        lambda data: _is_list_of(data, "conversations", "role"),
        lambda row: _messages(row, "conversations", "role", "content"),
    ),
    Format(
        "Alpaca",
        lambda data: {"instruction", "output"} <= data.keys(),
        lambda row: _pair(row, "instruction", "output", extra="input"),
    ),
    Format(
        "prompt and completion",
        lambda data: {"prompt", "completion"} <= data.keys() and "label" not in data,
        _prompt_completion,
    ),
    Format(
        "question and answer",
        lambda data: {"question", "answer"} <= data.keys(),
        lambda row: _pair(row, "question", "answer"),
    ),
)

_UNFIT = {
    "preference pairs (chosen and rejected)": {"chosen", "rejected"},
    "KTO rows (prompt, completion and label)": {"prompt", "completion", "label"},
}
