"""What rows say is told by their keys; what cannot be learnt is refused in a sentence."""

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer_core.data.checks import check
from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.duplicates import fingerprints, text_of
from trainer_core.data.formats import Detection, detect, reader
from trainer_core.data.problems import Problem, RowError
from trainer_core.data.rows import Row
from trainer_core.errors import UserError

SYSTEM, USER, ASSISTANT = Turn("system", "Brief."), Turn("user", "Hello?"), Turn("assistant", "Hi.")
PAIR = (USER, ASSISTANT)
TALK = (SYSTEM, USER, ASSISTANT)
CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {}}}


def openai(*turns: Turn) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def sharegpt(*turns: Turn) -> list[dict[str, str]]:
    names = {"user": "human", "assistant": "gpt"}
    return [{"from": names.get(turn.role, turn.role), "value": turn.content} for turn in turns]


def rows(*cells: dict[str, Any]) -> list[Row]:
    return [Row("rows.jsonl", line, data) for line, data in enumerate(cells, 1)]


def found(*cells: dict[str, Any], columns: Mapping[str, str] | None = None) -> Detection:
    return detect(rows(*cells), columns or {})


def read(cells: dict[str, Any], columns: Mapping[str, str] | None = None) -> Conversation:
    return reader(found(cells, columns=columns))(rows(cells)[0])


def refused(cells: dict[str, Any], columns: Mapping[str, str] | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        read(cells, columns)
    assert caught.value.where == "rows.jsonl:1"
    return caught.value


@pytest.mark.parametrize(
    ("cells", "form", "turns"),
    [
        ({"prompt": "Hello?", "completion": "Hi."}, "prompt and completion", PAIR),
        ({"question": "Hello?", "answer": "Hi."}, "question and answer", PAIR),
        ({"instruction": "Hello?", "output": "Hi."}, "Alpaca", PAIR),
        ({"instruction": "Hello?", "input": "", "output": "Hi.", "text": "x"}, "Alpaca", PAIR),
        ({"instruction": "Hello?", "output": "Hi.", "system": "Brief."}, "Alpaca", TALK),
        (
            {"instruction": "Add.", "input": "1 2", "output": "3"},
            "Alpaca",
            (Turn("user", "Add.\n\n1 2"), Turn("assistant", "3")),
        ),
        ({"messages": openai(*TALK)}, "OpenAI messages", TALK),
        ({"conversations": openai(*TALK)}, "OpenAI messages", TALK),
        ({"id": 7, "talk": openai(*TALK)}, "OpenAI messages", TALK),
        ({"prompt": "ultra", "messages": openai(*PAIR)}, "OpenAI messages", PAIR),
        ({"system": "Brief.", "messages": openai(*PAIR)}, "OpenAI messages", TALK),
        ({"system": "Brief.", "messages": openai(*TALK)}, "OpenAI messages", TALK),
        ({"conversations": sharegpt(*TALK)}, "ShareGPT", TALK),
        ({"items": sharegpt(*PAIR), "system": "Brief."}, "ShareGPT", TALK),
        (
            {"messages": [{"role": "developer", "content": "Brief."}, *openai(*PAIR)]},
            "OpenAI messages",
            TALK,
        ),
        (
            {"conversations": [{"from": "Human", "value": "Hello?"}, *sharegpt(ASSISTANT)]},
            "ShareGPT",
            PAIR,
        ),
    ],
)
def test_each_format(cells: dict[str, Any], form: str, turns: tuple[Turn, ...]) -> None:
    assert found(cells).format == form
    conversation = read(cells)
    assert conversation.turns == turns
    assert conversation.where == "rows.jsonl:1"
    check(conversation)


def test_only_a_pair_of_texts_is_a_pair() -> None:
    assert read({"prompt": "Hello?", "completion": "Hi."}).pair
    assert not read({"messages": openai(*PAIR)}).pair
    assert not read({"prompt": openai(USER), "completion": openai(ASSISTANT)}).pair


def test_a_conversational_prompt_is_not_learnt() -> None:
    before = openai(USER, ASSISTANT, Turn("user", "And?"))
    conversation = read({"prompt": before, "completion": openai(Turn("assistant", "So."))})
    assert [turn.trained for turn in conversation.turns if turn.role == "assistant"] == [
        False,
        True,
    ]
    assert read({"prompt": openai(USER), "completion": "Hi."}).turns == PAIR
    assert read({"prompt": "Hello?", "completion": openai(ASSISTANT)}).turns == PAIR


def test_tool_calls_and_what_goes_with_them() -> None:
    conversation = read(
        {
            "messages": [
                *openai(USER),
                {"role": "assistant", "content": None, "tool_calls": [CALL], "name": None},
                {"role": "tool", "content": "3", "tool_call_id": "1", "name": "add"},
                {"role": "assistant", "content": "Hi.", "reasoning_content": "Hm."},
            ],
            "tools": [TOOL],
        }
    )
    assert [turn.extra for turn in conversation.turns] == [
        {},
        {"tool_calls": [CALL]},
        {"tool_call_id": "1", "name": "add"},
        {"reasoning_content": "Hm."},
    ]
    assert conversation.turns[1].content == ""
    assert conversation.tools == (TOOL,)
    check(conversation)


@pytest.mark.parametrize("tools", [[TOOL], json.dumps([TOOL])])
def test_tools_as_a_list_or_as_json(tools: object) -> None:
    assert read({"messages": openai(*PAIR), "tools": tools}).tools == (TOOL,)
    assert read({"prompt": "Hello?", "completion": "Hi.", "tools": tools}).tools == (TOOL,)


@pytest.mark.parametrize("tools", [None, [], "", " "])
def test_no_tools(tools: object) -> None:
    assert read({"messages": openai(*PAIR), "tools": tools}).tools == ()


def test_text_parts_are_joined_and_others_refused() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo?", "image_url": None}]
    cells = {"messages": [{"role": "user", "content": parts}, *openai(ASSISTANT)]}
    assert read(cells).turns == PAIR
    parts.append({"type": "image_url", "image_url": "x" * 9999})
    error = refused(cells)
    assert "message 1 has a part of type image_url" in str(error)
    assert "text" in error.hint


def test_a_turn_of_weight_0_is_not_learnt() -> None:
    messages = [{**message, "weight": 0} for message in openai(*PAIR)]
    assert not read({"messages": messages}).turns[1].trained
    messages[1]["weight"] = 1
    assert read({"messages": messages}).turns[1].trained


@pytest.mark.parametrize(
    "mark",
    [
        "<|im_start|>user\n",
        "<|start_header_id|>user<|end_header_id|>\n\n",
        "<s>[INST] ",
        "<start_of_turn>user\n",
        "<|user|>\n",
        "<｜User｜>",
    ],
)
def test_text_with_the_marks_of_a_chat_template(mark: str) -> None:
    assert found({"text": mark + "Hello?"}).format == "templated text"
    assert read({"text": mark + "Hello?"}) == Conversation(
        "rows.jsonl:1", text=mark + "Hello?", templated=True
    )


def test_raw_text_stays_raw_where_one_row_speaks_of_templates() -> None:
    plain = [{"text": "once upon a time"}] * 5
    assert found(*plain, {"text": "ChatML begins a turn with <|im_start|>"}).format == "raw text"
    assert read({"text": "once"}) == Conversation("rows.jsonl:1", text="once")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"prompt": "p", "chosen": "a", "rejected": "b"}, "preference pairs"),
        ({"chosen": openai(*PAIR), "rejected": openai(*PAIR)}, "messages: chosen"),
        ({"prompt": "p", "completion": "c", "label": True}, "KTO"),
        ({"foo": 1, "bar": 2}, "keys: foo, bar"),
        ({}, "keys: none"),
        ({"messages": []}, "keys: messages"),
        ({"text": 5}, "keys: text"),
        ({"k" * 9999: 1}, "kkk…"),
    ],
)
def test_rows_for_which_there_is_no_format(cells: dict[str, Any], words: str) -> None:
    error = refused(cells)
    assert words in str(error)
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"question": "q", "answer": 7}, "`answer` is a number, not text"),
        ({"question": None, "answer": "a"}, "`question` is null"),
        ({"question": "q", "answer": "a", "system": True}, "system prompt is true or false"),
        ({"instruction": "i", "input": 3, "output": "o"}, "`input` is a number"),
        ({"messages": [*openai(USER), "y"]}, "message 2 is text, not an object"),
        ({"messages": [{"role": "wizard" * 999, "content": "x"}]}, "wizard"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "the role a list is not known"),
        ({"messages": [{"role": "user", "content": None}]}, "message 1 is null"),
        ({"messages": [*openai(USER), {"role": "assistant"}]}, "message 2 is null"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "a part that is text"),
        ({"messages": [{"role": "user", "content": "x", "name": 5}]}, "`name` of message 1"),
        ({"messages": [{"role": "user", "content": "x", "weight": 0.5}]}, "weight"),
        (
            {"messages": [{"role": "assistant", "content": "", "tool_calls": "x"}]},
            "`tool_calls` of message 1 is not a list of objects",
        ),
        ({"messages": openai(*PAIR), "tools": "{"}, "tools are not JSON"),
        ({"messages": openai(*PAIR), "tools": "[" * 100_000}, "tools are not JSON"),
        ({"messages": openai(*PAIR), "tools": ["add"]}, "tools is not a list of objects"),
    ],
)
def test_cells_that_cannot_be_understood(cells: dict[str, Any], words: str) -> None:
    error = refused(cells)
    assert isinstance(error, RowError)
    assert error.kind == "unreadable"
    assert words in str(error)
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ({"question": "q", "answer": "a"}, {"prompt": "p", "completion": "c"}),
        ({"question": "q", "answer": "a"}, {"question": "q"}),
        ({"messages": openai(*PAIR)}, {"text": "t"}),
        ({"messages": openai(*PAIR)}, {"messages": "t"}),
        ({"conversations": sharegpt(*PAIR)}, {"conversations": openai(*PAIR)}),
        ({"text": "t"}, {"messages": openai(*PAIR)}),
    ],
)
def test_a_row_in_another_format_than_the_first(
    first: dict[str, Any], later: dict[str, Any]
) -> None:
    both = rows(first, later)
    read_row = reader(detect(both, {}))
    read_row(both[0])
    with pytest.raises(RowError) as caught:
        read_row(both[1])
    assert caught.value.kind == "another format"
    assert caught.value.where == "rows.jsonl:2"
    assert "Its keys: " in caught.value.hint


def test_rows_that_could_not_be_read_do_not_hide_the_format() -> None:
    broken = Row("rows.jsonl", 1, problem=Problem("unreadable", "rows.jsonl:1", "not JSON"))
    good = Row("rows.jsonl", 2, {"question": "Hello?", "answer": "Hi."})
    read_row = reader(detect([broken, good], {}))
    assert read_row(good).turns == PAIR
    with pytest.raises(RowError, match="not JSON"):
        read_row(broken)
    unknown = detect([broken] * 200, {})
    assert unknown.format == "unknown"
    with pytest.raises(RowError, match="not known"):
        reader(unknown)(good)


def test_only_the_first_rows_are_looked_at() -> None:
    endless = (Row("rows.jsonl", line, {"text": "x"}) for line in range(1, 10**12))
    assert detect(endless, {}).format == "raw text"


def test_the_detection_says_why_and_can_be_sent() -> None:
    detection = found({"conversations": sharegpt(*PAIR)})
    assert detection.why == "`conversations` is a list of {from, value}"
    assert pickle.loads(pickle.dumps(detection)) == detection


@pytest.mark.parametrize(
    ("cells", "columns", "turns"),
    [
        (
            {"pergunta": "Hello?", "resposta": "Hi."},
            {"prompt": "pergunta", "completion": "resposta"},
            PAIR,
        ),
        ({"prompt": "Hello?", "reply": "Hi."}, {"completion": "reply"}, PAIR),
        (
            {"prompt": "Hello?", "chosen": "Hi.", "rejected": "No."},
            {"prompt": "prompt", "completion": "chosen"},
            PAIR,
        ),
        ({"chosen": openai(*PAIR), "rejected": openai(*PAIR)}, {"messages": "chosen"}, PAIR),
        ({"a": sharegpt(*PAIR), "b": "Brief."}, {"messages": "a", "system": "b"}, TALK),
        ({"question": "Hello?", "answer": "Hi.", "role": "Brief."}, {"system": "role"}, TALK),
        (
            {"ask": "Add.", "context": "1 2", "response": "3"},
            {"prompt": "ask", "input": "context", "completion": "response"},
            (Turn("user", "Add.\n\n1 2"), Turn("assistant", "3")),
        ),
    ],
)
def test_columns_that_the_config_names(
    cells: dict[str, Any], columns: dict[str, str], turns: tuple[Turn, ...]
) -> None:
    assert read(cells, columns).turns == turns


def test_a_mapped_text_and_what_is_said_of_it() -> None:
    assert read({"body": "once", "messages": openai(*PAIR)}, {"text": "body"}).text == "once"
    assert found({"body": "x"}, columns={"text": "body"}).why == (
        "column mapping from the config: text is `body`"
    )


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"prompt": "pregunta", "completion": "resposta"}, "Did you mean `pergunta`?"),
        ({"prompt": "pergunta"}, "no column `completion`"),
        ({"prompts": "pergunta"}, "Did you mean `prompt`?"),
        ({"text": "pergunta", "messages": "resposta"}, "do not go together"),
        ({"messages": "pergunta"}, "no list of messages"),
    ],
)
def test_columns_that_cannot_be(columns: dict[str, str], words: str) -> None:
    with pytest.raises(UserError) as caught:
        found({"pergunta": "Hello?", "resposta": "Hi."}, columns=columns)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("path", "form", "count"),
    [
        ("gsm8k/train.jsonl", "question and answer", 7473),
        ("wwdc25/wwdc25_data_train.jsonl", "prompt and completion", 1800),
        ("fastchat/dummy_conversation.json", "ShareGPT", 500),
    ],
)
def test_real_data(shared: Path, path: str, form: str, count: int) -> None:
    content = (shared / "data" / path).read_text()
    records = (
        json.loads(content)
        if path.endswith(".json")
        else [json.loads(line) for line in content.splitlines()]
    )
    all_rows = rows(*records)
    detection = detect(all_rows, {})
    assert detection.format == form
    conversations = [reader(detection)(row) for row in all_rows]
    assert len(conversations) == count
    for conversation in conversations:
        check(conversation)


def test_questions_without_answers_are_refused(shared: Path) -> None:
    lines = (shared / "data" / "fastchat" / "mt_bench_question.jsonl").read_text().splitlines()
    with pytest.raises(UserError, match="question_id, category, turns"):
        found(*map(json.loads, lines))


KEYS = """messages conversations prompt completion question answer instruction input output text
    system tools label chosen rejected role content from value name weight tool_calls type"""
NAMES = st.sampled_from(KEYS.split())
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
JSON = st.recursive(
    SCALARS | st.sampled_from(["user", "assistant", "tool", "human", "text", "[]"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES | ANY_TEXT, inner, max_size=5)
    ),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": ANY_TEXT},
        optional={"tool_calls": JSON, "name": JSON, "weight": JSON, "tool_call_id": JSON},
    )
    | st.fixed_dictionaries({"role": JSON, "content": JSON})
    | JSON,
    max_size=4,
)
ROWS = st.one_of(
    st.dictionaries(NAMES | ANY_TEXT, JSON | MESSAGES, max_size=6),
    st.fixed_dictionaries({"messages": MESSAGES}, optional={"tools": JSON, "system": JSON}),
    st.fixed_dictionaries({"prompt": ANY_TEXT | MESSAGES, "completion": ANY_TEXT | MESSAGES}),
    st.fixed_dictionaries({"instruction": ANY_TEXT, "output": ANY_TEXT}, optional={"input": JSON}),
    st.fixed_dictionaries({"text": ANY_TEXT | JSON}),
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(ROWS, max_size=3),
    st.just({}) | st.dictionaries(NAMES, NAMES, max_size=2),
)
def test_any_row_is_a_conversation_or_refused(
    cells: list[dict[str, Any]], columns: dict[str, str]
) -> None:
    all_rows = rows(*cells)
    try:
        read_row = reader(detect(all_rows, columns))
    except UserError as error:
        str(error).encode()
        return
    for row in all_rows:
        conversation, problem = tried(read_row, row)
        assert isinstance(conversation, Conversation) != isinstance(problem, RowError)
        if conversation is not None:
            assert len(fingerprints([text_of(conversation)]).hashes) == 1


def tried(
    read_row: Callable[[Row], Conversation], row: Row
) -> tuple[Conversation | None, RowError | None]:
    try:
        conversation = read_row(row)
        check(conversation)
    except RowError as error:
        str(error).encode()
        return None, error
    return conversation, None
