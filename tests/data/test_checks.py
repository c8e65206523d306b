"""What stands in the way of learning from a conversation is found and named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer_core.data.checks import check
from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.problems import RowError

SIDES = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
CALLS = {"tool_calls": [{"function": {"name": "add", "arguments": {}}}]}


def talk(order: str, content: str = "words") -> Conversation:
    return Conversation("x:1", tuple(Turn(SIDES[side], content) for side in order))


def problem(conversation: Conversation) -> RowError:
    with pytest.raises(RowError) as caught:
        check(conversation)
    assert caught.value.where == "x:1"
    return caught.value


@pytest.mark.parametrize("order", ["ua", "sua", "uaua", "uau", "uata", "uattaua", "uatu"])
def test_orders_that_real_data_has(order: str) -> None:
    check(talk(order))


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("uua", "message 2: two turns of the user in a row"),
        ("uaa", "message 3: two turns of the assistant in a row"),
        ("a", "message 1: the assistant speaks first"),
        ("sau", "message 2: the assistant speaks first"),
        ("uas", "message 3: a system turn that is not the first"),
        ("ssua", "message 2: a system turn"),
        ("uta", "message 2: a tool answers"),
        ("tua", "message 1: a tool answers"),
    ],
)
def test_orders_in_which_nobody_talks(order: str, words: str) -> None:
    error = problem(talk(order))
    assert error.kind == "role order"
    assert words in error.message


@pytest.mark.parametrize("order", ["", "s", "u", "su"])
def test_without_the_assistant_there_is_nothing_to_learn(order: str) -> None:
    assert problem(talk(order)).kind == "no answer"


@pytest.mark.parametrize("content", ["", " \n\t", "\u3000"])
def test_an_empty_turn_is_named_by_its_number(content: str) -> None:
    error = problem(Conversation("x:1", (Turn("user", "Hello?"), Turn("assistant", content))))
    assert (error.kind, error.message) == ("empty turn", "message 2 (assistant) is empty")
    assert problem(Conversation("x:1", text=content)).kind == "empty turn"


def test_a_call_of_a_tool_needs_no_words() -> None:
    check(Conversation("x:1", (Turn("user", "1+2?"), Turn("assistant", "", CALLS))))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("ab\x00", "U+0000, at character 3"),
        ("\x1b[31mred", "U+001B"),
        ("it\xe2\x80\x99s", "U+0080"),
        ("half \ud83d of a smile", "U+D83D"),
        ("caf\ufffd\ufffd", "decoded wrongly"),
        ("one \ufffd, then \x07", "U+0007"),
    ],
)
def test_garbage(content: str, words: str) -> None:
    for conversation in (talk("ua", content), Conversation("x:1", text=content)):
        error = problem(conversation)
        assert error.kind == "garbage"
        assert words in error.message
        str(error).encode()


@pytest.mark.parametrize(
    "content",
    [
        "a\tb\r\nc",
        "سلام، چطوری؟ \u200f",
        "日本語のテキスト",
        "👩‍👩‍👧 e\u0301",
        "one \ufffd only",
        "x\x85y",
    ],
)
def test_no_language_is_garbage(content: str) -> None:
    check(talk("sua", content))


def test_half_a_character_in_a_call_or_in_the_tools_is_found() -> None:
    broken = {"tool_calls": [{"function": {"arguments": {"\ud83d": [1]}}}]}
    turns = (Turn("user", "Hello?"), Turn("assistant", "", broken))
    assert problem(Conversation("x:1", turns)).kind == "garbage"
    turns = (Turn("user", "Hello?"), Turn("assistant", "Hi."))
    tools = ({"function": {"description": "\ud83d"}},)
    assert problem(Conversation("x:1", turns, tools=tools)).kind == "garbage"


def test_no_depth_of_a_call_is_too_deep() -> None:
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    turns = (Turn("user", "Hello?"), Turn("assistant", "", {"tool_calls": [{"a": deep}]}))
    check(Conversation("x:1", turns))


@given(st.lists(st.sampled_from("suat"), max_size=8), st.text())
def test_what_passes_can_be_learnt(order: list[str], content: str) -> None:
    conversation = talk("".join(order), content)
    try:
        check(conversation)
    except RowError:
        return
    roles = [turn.role for turn in conversation.turns]
    assert "assistant" in roles
    assert roles[1 if roles[0] == "system" else 0] == "user"
    assert content.strip()
