"""Whether a conversation can be learnt from as it is, whatever its language."""

import re
from collections.abc import Sequence

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.nested import leaves
from trainer_core.data.problems import RowError

# Control bytes other than tab and line ends, lone surrogates, and runs of U+FFFD, which are what
# is left of text that was decoded wrongly. NEL (U+0085) ends lines in some systems' text.
_BAD = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff"
_SUSPECT = re.compile(f"[{_BAD}\ufffd]")  # one set of characters is searched for five times faster
_GARBAGE = re.compile(f"[{_BAD}]|\ufffd{{2}}")
_SURROGATE = re.compile("[\ud800-\udfff]")


def check(conversation: Conversation) -> None:
    """Raises RowError for the first thing that is wrong, naming the message by its number.

    Kinds: no answer, role order, empty turn, garbage. A user's turn may come last, and a tool may
    answer any turn of the assistant: some data writes its calls into the text.
    """
    where = conversation.where
    if conversation.text is not None:
        if not conversation.text or conversation.text.isspace():
            raise RowError("empty turn", "the text is empty", where=where)
        _check_text(conversation.text, where, "the text")
        return
    _check_order(conversation.turns, where)
    for number, turn in enumerate(conversation.turns, 1):
        _check_turn(turn, where, number)
    if conversation.tools:
        _check_nested(conversation.tools, where, "the tools")


def _check_order(turns: Sequence[Turn], where: str) -> None:
    before = ""
    answers = 0
    for number, turn in enumerate(turns, 1):
        role = turn.role
        if message := _out_of_order(before, role):
            raise RowError("role order", f"message {number}: {message}", where=where)
        answers += role == "assistant"
        before = role
    if not answers:
        message = "no turn of the assistant, so there is nothing to learn"
        raise RowError("no answer", message, where=where)


def _out_of_order(before: str, role: str) -> str:
    """What is wrong with a role after the one before; `before` is empty at the start."""
    if role == before and role in {"user", "assistant"}:
        return f"two turns of the {role} in a row"
    if role == "assistant" and before in {"", "system"}:
        return "the assistant speaks first"
    if role == "system" and before:
        return "a system turn that is not the first"
    if role == "tool" and before not in {"assistant", "tool"}:
        return "a tool answers, but the assistant did not call one"
    return ""


def _check_turn(turn: Turn, where: str, number: int) -> None:
    content, what = turn.content, f"message {number} ({turn.role})"
    if not content or content.isspace():
        _check_empty(turn, where, what)
    _check_text(content, where, what)
    if turn.extra:
        _check_nested(turn.extra, where, what)


def _check_empty(turn: Turn, where: str, what: str) -> None:
    if turn.role in {"user", "assistant"} and "tool_calls" not in turn.extra:
        raise RowError("empty turn", f"{what} is empty", where=where)


def _check_text(text: str, where: str, what: str) -> None:
    suspect = _SUSPECT.search(text)
    found = suspect and _GARBAGE.search(text, suspect.start())
    if not found:
        return
    code = ord(found.group()[0])
    shown = "text that was decoded wrongly" if code == 0xFFFD else f"the character U+{code:04X}"
    message = f"{what} holds {shown}, at character {found.start() + 1}"
    raise RowError("garbage", message, where=where)


def _check_nested(value: object, where: str, what: str) -> None:
    """Lone surrogates anywhere else: no tokenizer takes them."""
    for leaf in leaves(value):
        if isinstance(leaf, str) and _SURROGATE.search(leaf):
            raise RowError("garbage", f"{what} holds a lone surrogate", where=where)
