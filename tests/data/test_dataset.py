"""Rows become conversations whatever their format; rows that cannot are refused by path:line."""

import json
from pathlib import Path
from typing import Any

import pytest

from trainer_core.config.schema import DataSection
from trainer_core.data.conversations import Turn
from trainer_core.data.dataset import check_data, load_dataset
from trainer_core.errors import UserError

TALK = [
    Turn("system", "Be brief."),
    Turn("user", "Hello?"),
    Turn("assistant", "Hi."),
]
PAIR = [Turn("user", "Hello?"), Turn("assistant", "Hi.")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def write(file: Path, *rows: Any) -> DataSection:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return DataSection(train=str(file), validation_fraction=0)


def pair(number: int) -> dict[str, str]:
    return {"question": f"q{number}", "answer": f"a{number}"}


def refused(data: DataSection) -> UserError:
    with pytest.raises(UserError) as caught:
        load_dataset(data, 0)
    return caught.value


@pytest.mark.parametrize(
    ("row", "turns", "is_pair"),
    [
        ({"messages": [{"role": t.role, "content": t.content} for t in TALK]}, TALK, False),
        (
            {
                "conversations": [
                    {"from": "system", "value": "Be brief."},
                    {"from": "human", "value": "Hello?"},
                    {"from": "gpt", "value": "Hi."},
                ]
            },
            TALK,
            False,
        ),
        ({"conversations": [{"role": t.role, "content": t.content} for t in TALK]}, TALK, False),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "Hello?"}]},
                    {"role": "assistant", "content": "Hi."},
                ]
            },
            PAIR,
            False,
        ),
        ({"instruction": "Hello?", "input": "", "output": "Hi."}, PAIR, True),
        (
            {"instruction": "Add.", "input": "1 2", "output": "3"},
            [Turn("user", "Add.\n\n1 2"), Turn("assistant", "3")],
            True,
        ),
        ({"prompt": "Hello?", "completion": "Hi."}, PAIR, True),
        (
            {
                "prompt": [{"role": "user", "content": "Hello?"}],
                "completion": [{"role": "assistant", "content": "Hi."}],
            },
            PAIR,
            False,
        ),
        ({"question": "Hello?", "answer": "Hi."}, PAIR, True),
    ],
)
def test_each_format(file: Path, row: dict[str, Any], turns: list[Turn], is_pair: bool) -> None:
    data = write(file, row, row)
    dataset = load_dataset(data, 0)
    assert [list(conversation.turns) for conversation in dataset.train] == [turns, turns]
    assert dataset.train[1].where == f"{file}:2"
    assert check_data(data)[1] == is_pair


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "p", "chosen": "a", "rejected": "b"}, "preference"),
        ({"prompt": "p", "completion": "c", "label": True}, "KTO"),
        ({"text": "words"}, "'text'"),
        ({}, "none"),
        ({"messages": []}, "format"),
        ({"messages": [{"role": "user", "content": "Hello?"}]}, "assistant"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "wizard"),
        ({"messages": [{"role": "user", "content": None}]}, "missing"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "text"),
        ({"messages": [{"role": "user", "content": "x"}, "y"]}, "object"),
        ({"question": "q", "answer": 7}, "not text"),
        ([1], "not an object"),
        (None, "not an object"),
    ],
)
def test_rows_that_cannot_be_trained_on(file: Path, row: Any, words: str) -> None:
    error = refused(write(file, row))
    assert error.where.startswith(f"{file}:1")
    assert words in str(error)


def test_a_second_format_is_refused_at_its_line(file: Path) -> None:
    error = refused(write(file, pair(1), pair(2), {"prompt": "p", "completion": "c"}))
    assert error.where == f"{file}:3"
    assert "question and answer" in str(error)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b'{"question": "q", "answer": "a"}\n{"question": "q", "ans', 2, "cut off"),
        (b'{"question": "q", "answer": "a"}\n\n{"question": "caf\xe9"}\n', 3, "UTF-8"),
        (b'{"question": "q", "answer": "a"}\n{nope}\n', 2, "JSON"),
        (b"[" * 100_000 + b"\n", 1, "JSON"),
    ],
)
def test_broken_lines(file: Path, content: bytes, line: int, words: str) -> None:
    file.write_bytes(content)
    error = refused(DataSection(train=str(file)))
    assert error.where == f"{file}:{line}"
    assert words in str(error)


def test_a_bom_blank_lines_and_no_last_newline_are_fine(file: Path) -> None:
    file.write_bytes(
        b'\xef\xbb\xbf{"question":"q","answer":"a"}\r\n\n{"question":"r","answer":"b"}'
    )
    assert len(load_dataset(DataSection(train=str(file), validation_fraction=0), 0).train) == 2


def test_no_rows_no_file_or_a_folder(file: Path) -> None:
    file.touch()
    assert str(file) in str(refused(DataSection(train=str(file))))
    assert "does not exist" in str(refused(DataSection(train=str(file) + ".no")))
    assert "folder" in str(refused(DataSection(train=str(file.parent))))


def test_the_split_is_the_seed_s_and_disjoint(file: Path) -> None:
    write(file, *map(pair, range(100)))
    data = DataSection(train=str(file), validation_fraction=0.1)
    first, again, other = load_dataset(data, 1), load_dataset(data, 1), load_dataset(data, 2)
    assert first == again
    assert first.validation != other.validation
    assert len(first.validation) == 10
    lines = sorted(int(c.where.rpartition(":")[2]) for c in first.train + first.validation)
    assert lines == list(range(1, 101))


def test_never_all_rows_are_held_back(file: Path) -> None:
    write(file, pair(1), pair(2))
    split = load_dataset(DataSection(train=str(file), validation_fraction=0.9), 0)
    assert (len(split.train), len(split.validation)) == (1, 1)
    write(file, pair(1))
    assert len(load_dataset(DataSection(train=str(file)), 0).train) == 1


def test_a_validation_file_and_a_limit(file: Path, tmp_path: Path) -> None:
    write(file, *map(pair, range(9)))
    held_out = tmp_path / "held_out.jsonl"
    write(held_out, {"prompt": "p", "completion": "c"})
    data = DataSection(train=str(file), validation=str(held_out), limit=4)
    split = load_dataset(data, 0)
    assert [c.turns[0].content for c in split.train] == ["q0", "q1", "q2", "q3"]
    assert split.validation[0].where == f"{held_out}:1"
