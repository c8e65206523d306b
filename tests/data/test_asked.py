"""What a file of prompts asks: rows of data as they are trained on, and prompts alone."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainer_core.config.predict_section import PredictRequest
from trainer_core.data.asked import Asked, asked_in_file
from trainer_core.data.splits import spread
from trainer_core.errors import UserError

SYSTEM = {"role": "system", "content": "Be short."}
USER = {"role": "user", "content": "Hello."}
HELLO = {"role": "assistant", "content": "Hello!"}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"type": "function", "function": {"name": "clock", "arguments": {}}}],
}
TOOL = {"role": "tool", "content": "12:00", "name": "clock"}
CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {}}}


def asked(folder: Path, *rows: dict[str, Any]) -> list[Asked]:
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return asked_in_file(path)


@pytest.mark.parametrize(
    ("row", "prompt", "expected"),
    [
        ({"prompt": "Hi"}, "Hi", None),
        ({"prompt": "Hi", "expected": "Ho"}, "Hi", "Ho"),
        ({"prompt": "6 * 12?", "expected": 72}, "6 * 12?", "72"),
        ({"prompt": "A half?", "expected": 0.5}, "A half?", "0.5"),
        ({"question": "6 * 12?", "answer": 72}, "6 * 12?", "72"),
        ({"question": "Is it?", "answer": True}, "Is it?", "true"),
        ({"question": "Is it?", "answer": None}, "Is it?", None),
        ({"question": "Is it?", "answer": "No.", "expected": "Yes."}, "Is it?", "Yes."),
        # A line of predictions.jsonl: `answer` is the model's.
        ({"row": 0, "prompt": "Hi", "expected": None, "answer": "Ho"}, "Hi", None),
        ({"prompt": [SYSTEM, USER], "expected": "Ho", "answer": "x"}, [SYSTEM, USER], "Ho"),
        ({"prompt": "Hi", "completion": "Ho"}, "Hi", "Ho"),
        ({"prompt": [USER], "completion": [HELLO]}, "Hello.", "Hello!"),
        (
            {"instruction": "Translate", "input": "good", "output": "bom"},
            "Translate\n\ngood",
            "bom",
        ),
        ({"instruction": "Translate", "input": "good"}, "Translate\n\ngood", None),
        ({"instruction": "Wait", "input": "", "output": "Yes"}, "Wait", "Yes"),
        ({"input": "good", "output": "bom"}, "good", "bom"),
        ({"text": "good"}, "good", None),
        ({"system": "Be short.", "prompt": "Hello."}, [SYSTEM, USER], None),
        ({"system": "Be short.", "question": "Hello.", "answer": "A"}, [SYSTEM, USER], "A"),
        ({"messages": [USER, HELLO]}, "Hello.", "Hello!"),
        ({"messages": [USER, HELLO], "expected": None}, "Hello.", "Hello!"),
        ({"messages": [USER, HELLO, USER]}, [USER, HELLO, USER], None),
        ({"messages": [USER, CALL, TOOL]}, [USER, CALL, TOOL], None),
        (
            {
                "conversations": [
                    {"from": "human", "value": "Hello."},
                    {"from": "gpt", "value": "A"},
                ]
            },
            "Hello.",
            "A",
        ),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_a_row(tmp_path: Path, row: dict[str, Any], prompt: object, expected: str | None) -> None:
    (found,) = asked(tmp_path, row)
    assert (found.prompt, found.expected) == (prompt, expected)


def test_what_was_answered_can_be_asked_again(tmp_path: Path) -> None:
    (first,) = asked(tmp_path, {"messages": [USER, CALL, TOOL, HELLO], "tools": [CLOCK]})
    assert (first.expected, first.tools) == ("Hello!", (CLOCK,))
    line = {"prompt": first.prompt, "expected": first.expected, "tools": list(first.tools)}
    (again,) = asked(tmp_path, line)
    assert (again.turns, again.expected, again.tools) == (first.turns, "Hello!", (CLOCK,))


def test_numbers_of_a_table_are_expected_as_text(tmp_path: Path) -> None:
    table = pa.table({"prompt": ["6 * 12?", "A half?"], "expected": [72, None]})
    pq.write_table(table, tmp_path / "prompts.parquet")
    found = asked_in_file(tmp_path / "prompts.parquet")
    assert [one.expected for one in found] == ["72", None]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"a": 1}, "the row has no prompt"),
        ({"prompt": " "}, "the row has no prompt"),
        ({"prompt": []}, "the row has no prompt"),
        ({"messages": [HELLO]}, "the row has no prompt"),
        ({"prompt": "Hi", "expected": ["Ho"]}, "what is expected is no text"),
        ({"prompt": 7}, "`prompt` is a number, not text"),
        ({"messages": [USER, {"role": "nobody", "content": ""}]}, "the role nobody is not known"),
    ],
)
def test_a_row_that_asks_nothing_is_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as found:
        asked(tmp_path, {"prompt": "Hi"}, row)
    assert "prompts.jsonl:2" in str(found.value)


def test_some_of_the_rows_are_spread_over_all() -> None:
    assert spread(10, 4).tolist() == [0, 2, 5, 7]
    assert spread(3, None).tolist() == spread(3, 9).tolist() == [0, 1, 2]
    assert spread(0, None).tolist() == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *[("prompt", other) for other in ("prompts", "data", "split")],
        *[("prompts", other) for other in ("data", "split")],
        ("data", "split"),
    ],
)
def test_two_wishes_of_what_is_asked_are_one_too_many(first: str, second: str) -> None:
    given = {"source": "run", first: "train", second: "train"}
    with pytest.raises(UserError, match=f"{first} and {second} both say what is asked"):
        PredictRequest.of(given)
