"""Rows with a list of messages: OpenAI's {role, content} and ShareGPT's {from, value}."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.formats.cells import (
    Columns,
    as_text,
    cell,
    kind_of,
    listed,
    other_format,
    quoted,
    unreadable,
)
from trainer_core.data.problems import RowError
from trainer_core.data.rows import Row

OPENAI, SHAREGPT = "OpenAI messages", "ShareGPT"
_KEYS = {OPENAI: ("role", "content"), SHAREGPT: ("from", "value")}

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
# What else a template may want to know of a message.
_EXTRA_TEXTS = ("tool_call_id", "name", "reasoning_content")


def format_of_messages(value: object) -> str | None:
    """Which of the two a cell is, told by its first message."""
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return None
    first = value[0]
    if "role" in first and ("content" in first or "tool_calls" in first):
        return OPENAI
    return SHAREGPT if "from" in first and "value" in first else None


def read_openai(row: Row, columns: Columns) -> Conversation:
    """Raises RowError."""
    return _read(row, columns, OPENAI)


def read_sharegpt(row: Row, columns: Columns) -> Conversation:
    """Raises RowError."""
    return _read(row, columns, SHAREGPT)


def _read(row: Row, columns: Columns, form: str) -> Conversation:
    column = columns["messages"]
    messages = cell(row, column)
    if not isinstance(messages, list):
        raise other_format(row, f"`{quoted(column)}` is {kind_of(messages)}, not a list")
    turns = turns_of(row, messages, form)
    return Conversation(row.where, with_system(row, columns, turns), tools=tools_of(row, columns))


def turns_of(
    row: Row, messages: Sequence[object], form: str = OPENAI, name: str = "message"
) -> list[Turn]:
    """The turns of a list of messages. Raises RowError naming the message by its number."""
    role_key, content_key = _KEYS[form]
    turns = []
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise unreadable(row, f"{name} {number} is {kind_of(message)}, not an object")
        role = ROLES.get(given) if isinstance(given := message.get(role_key), str) else None
        if role is None:
            role = _unusual_role(row, message, role_key, f"{name} {number}")
        content = message.get(content_key)
        if len(message) == 2 and isinstance(content, str):
            turns.append(Turn(role, content))
        else:
            turns.append(_full_turn(row, message, role, content, f"{name} {number}"))
    return turns


def _unusual_role(row: Row, message: dict[str, Any], role_key: str, what: str) -> str:
    if role_key not in message:
        return _no_role(row, message, role_key, what)
    given = message[role_key]
    role = ROLES.get(given[:20].lower()) if isinstance(given, str) else None
    if role is None:
        shown = quoted(given) if isinstance(given, str) else kind_of(given)
        hint = "Known roles: system, user, assistant, tool; human and gpt."
        raise unreadable(row, f"{what}: the role {shown} is not known", hint)
    return role


def _no_role(row: Row, message: dict[str, Any], role_key: str, what: str) -> str:
    raise RowError(
        "another format",
        f"{what} has no `{role_key}`",
        where=row.where,
        hint=f"Its keys: {listed(message)}.",
    )


def _full_turn(row: Row, message: dict[str, Any], role: str, content: object, what: str) -> Turn:
    """A message with more to it than a role and a text."""
    extra: dict[str, Any] = {}
    if calls := message.get("tool_calls"):
        extra["tool_calls"] = _objects(row, calls, f"`tool_calls` of {what}")
    for key in _EXTRA_TEXTS:
        value = message.get(key)
        if value is None:
            continue
        if not isinstance(value, str):
            raise unreadable(row, f"`{key}` of {what} is {kind_of(value)}, not text")
        extra[key] = value
    text = "" if content is None and "tool_calls" in extra else as_text(row, content, what)
    return Turn(role, text, extra, _trained(row, message.get("weight"), what))


def _trained(row: Row, weight: object, what: str) -> bool:
    if weight is None:
        return True
    if weight not in (0, 1):
        raise unreadable(row, f"the weight of {what} is neither 0 nor 1")
    return bool(weight)


def with_system(row: Row, columns: Columns, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns after the system prompt that stands beside them in the row, if there is one."""
    value = row.data.get(columns.get("system", "system"))
    if value is None or value == "":
        return tuple(turns)
    system = Turn("system", as_text(row, value, "the system prompt"))
    return tuple(turns) if turns and turns[0] == system else (system, *turns)


def tools_of(row: Row, columns: Columns) -> tuple[Mapping[str, Any], ...]:
    """The tools that the row offers: a list of objects, or the same as JSON. Raises RowError."""
    value = row.data.get(columns.get("tools", "tools"))
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            raise unreadable(row, "the tools are not JSON that can be read") from None
    return tuple(_objects(row, value, "the cell of the tools")) if value else ()


def _objects(row: Row, value: object, what: str) -> list[dict[str, Any]]:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise unreadable(row, f"{what} is not a list of objects")
