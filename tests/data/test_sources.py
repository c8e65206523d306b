"""Each kind of source gives its rows, lazily; a broken one gives one sentence that says where."""

import gzip
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.fernet import Fernet

from trainer_core.config.data_section import DataSource
from trainer_core.data.rows import Row, rows_of
from trainer_core.data.sources import listed_files, open_source
from trainer_core.errors import UserError

CELLS: list[dict[str, Any]] = [
    {"question": f"What is {n}?", "answer": 'línea\n"two", three' if n % 3 else f"{n}"}
    for n in range(2000)
]
JSONL = "".join(json.dumps(row) + "\n" for row in CELLS)
# No time of day: it would stand in a test's name, and two workers would not agree on it.
PACKED = gzip.compress(JSONL.encode(), mtime=0)


def source(**given: Any) -> DataSource:
    return DataSource.model_validate(
        {k: str(v) if isinstance(v, Path) else v for k, v in given.items()}
    )


def rows(**given: Any) -> list[Row]:
    return list(rows_of(open_source(source(**given))))


def cells(**given: Any) -> list[dict[str, Any]]:
    found = rows(**given)
    assert all(row.problem is None for row in found), found[0].problem
    return [row.data for row in found]


def refused(**given: Any) -> str:
    with pytest.raises(UserError) as caught:
        rows(**given)
    return str(caught.value)


def as_csv(delimiter: str) -> bytes:
    quoted = (
        f'"{r["question"]}"{delimiter}"{r["answer"].replace(chr(34), chr(34) * 2)}"' for r in CELLS
    )
    return f"question{delimiter}answer\r\n{chr(10).join(quoted)}\n".encode()


def as_parquet(file: Path) -> None:
    pq.write_table(pa.Table.from_pylist(CELLS), file, row_group_size=700)


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


WRITERS: dict[str, Callable[[Path], Any]] = {
    "a.jsonl": lambda file: file.write_text(JSONL),
    "a.json": lambda file: file.write_text(json.dumps(CELLS, indent=1)),
    "one.json": lambda file: file.write_text(json.dumps({"version": 1, "data": CELLS})),
    "lines.json": lambda file: file.write_text(JSONL),
    "list.jsonl": lambda file: file.write_text(json.dumps(CELLS)),
    "a.csv": lambda file: file.write_bytes(as_csv(",")),
    "semicolon.csv": lambda file: file.write_bytes(b"\xef\xbb\xbf" + as_csv(";")),
    "a.tsv": lambda file: file.write_bytes(as_csv("\t")),
    "a.parquet": as_parquet,
    "a.jsonl.gz": lambda file: file.write_bytes(PACKED),
    "a.jsonl.zst": lambda file: file.write_bytes(zstd(JSONL.encode())),
    "a.csv.gz": lambda file: file.write_bytes(gzip.compress(as_csv(","))),
    "a.json.zst": lambda file: file.write_bytes(zstd(json.dumps(CELLS).encode())),
    "no suffix": lambda file: file.write_text(JSONL),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    WRITERS[name](file)
    assert cells(path=file) == CELLS
    opened = open_source(source(path=file))
    counted = list(opened.chunks())
    assert sum(count for count, _ in counted) == len(CELLS)
    for count, chunk in counted:  # in another process too
        assert len(list(pickle.loads(pickle.dumps(chunk)).rows())) == count
    assert len(rows(path=file, limit=701)) == 701
    before = opened.fingerprint()
    assert open_source(source(path=file)).fingerprint() == before
    os.utime(file, (1, 1))
    assert open_source(source(path=file)).fingerprint() == before


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    for name in ("a.csv", "a.json", "a.jsonl"):
        file = tmp_path / name
        WRITERS[name](file)
        lines = file.read_text().splitlines() if name != "a.csv" else file.read_bytes().split(b"\n")
        for row in rows(path=file)[::251]:
            line = lines[row.line - 1]
            text = line.decode() if isinstance(line, bytes) else line
            near = text + str(lines[row.line])
            assert row.data["question"] in near


def test_a_folder_a_pattern_and_their_order(tmp_path: Path) -> None:
    for name, answer in (
        ("b.jsonl", "2"),
        ("a.csv", "1"),
        ("sub/c.jsonl", "3"),
        ("notes.bin", "x"),
    ):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"answer\n{answer}\n" if name == "a.csv" else f'{{"answer": "{answer}"}}\n')
    assert [row["answer"] for row in cells(path=tmp_path)] == ["1", "2", "3"]
    assert [row["answer"] for row in cells(path=tmp_path / "*.jsonl")] == ["2"]
    assert listed_files(source(path=tmp_path / "*.jsonl")) == [str(tmp_path / "b.jsonl")]
    assert "no file fits" in refused(path=tmp_path / "*.tsv")
    (tmp_path / "empty").mkdir()
    assert "has no data files" in refused(path=tmp_path / "empty")


def test_texts(tmp_path: Path) -> None:
    short, long = tmp_path / "short.txt", tmp_path / "long.md"
    short.write_text("One document.\n\nStill it.\n")
    assert cells(path=short) == [{"text": "One document.\n\nStill it."}]
    text = "".join(f"# Part {n}\n\n{'wörd ' * 900}\n\n" for n in range(60))
    long.write_text(text)
    found = rows(path=long)
    assert len(found) > 3
    assert all(row.data["text"].startswith("# Part") for row in found)
    assert sum(row.data["text"].count("wörd") for row in found) == 60 * 900
    assert text.splitlines()[found[1].line - 1].startswith("# Part")
    long.write_text("ü" * 200_000)
    assert "".join(row.data["text"] for row in rows(path=long)) == "ü" * 200_000


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b'a,b\n1,2\n3,"never closed\n4,5\n', "a.csv:3: a record that begins here"),
        ("a.json", b'[{"a": 1}, {"a": ', "a.json:1: not JSON"),
        ("a.json", b'[{"a": 1}\n{"a": 2}]', "a.json:2: not JSON: a comma"),
        ("a.json", b'{\n"a": 1\n}', "without a list of rows"),
        ("a.json", b"[ " + b"[" * 100_000, "not JSON"),
        ("a.txt", b"caf\xe9 au lait", "not UTF-8"),
        ("a.parquet", b"PAR1 and no more", "not a Parquet file"),
        ("a.parquet", b"nothing of the kind", "not a Parquet file"),
        ("a.jsonl.gz", b"not gzip at all", "is not gzip, or is cut off"),
        ("a.jsonl.gz", PACKED[:-30], "is not gzip, or is cut off"),
        ("a.jsonl.gz", PACKED[:15] + b"\xff" * 50, "is not gzip"),
        ("a.jsonl.zst", b"not zstd at all", "is not zstd, or is cut off"),
        ("a.bin", b"\x7fELF", "no known kind"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    assert words in refused(path=file)


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    as_parquet(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "a.parquet" in refused(path=file)
    file.write_bytes(whole[:200] + b"\xff" * 400 + whole[600:])
    assert "a.parquet" in refused(path=file)


def test_rows_that_cannot_be_read_are_problems_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"a,b\n1,2\n3\n4,5\n6,caf\xe9\n")
    assert [row.problem.where if row.problem else row.data["a"] for row in rows(path=file)] == [
        "1",
        f"{file}:3",
        "4",
        f"{file}:5",
    ]
    file = tmp_path / "a.json"
    file.write_text('[{"a": 1},\n 7,\n {"a": 2}]')
    assert [row.problem.where if row.problem else row.data["a"] for row in rows(path=file)] == [
        1,
        f"{file}:2",
        2,
    ]


def test_a_large_cell_and_strange_numbers(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f'a,b\n"{"x" * 200_000}",2\n')
    assert len(cells(path=file)[0]["a"]) == 200_000
    file = tmp_path / "a.jsonl"
    file.write_text('{"a": NaN, "b": 1e999}\n{"a": "\\ud800"}\n')
    assert len(cells(path=file)) == 2


def test_a_key_that_stands_twice_is_a_mistake(tmp_path: Path) -> None:
    lines, file = tmp_path / "a.jsonl", tmp_path / "a.json"
    lines.write_text('{"a": 1}\n{"a": {"b": 1, "c": 2, "b": 3}}\n')
    _, second = rows(path=lines)
    assert second.problem is not None
    assert (second.problem.where, "'b' stands twice" in second.problem.message) == (
        f"{lines}:2",
        True,
    )
    file.write_text('[{"a": 1},\n{"a": 2, "a": 3}]')
    assert "a.json:2: not JSON: the key 'a' stands twice" in refused(path=file)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refused(path=tmp_path / "pipe")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "cannot be read" in refused(path=loop)
    assert "does not exist" in refused(path=tmp_path / "none.jsonl")


def test_the_first_rows_of_a_large_file_are_there_at_once(tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    with file.open("w") as out:
        out.write("[")
        out.write(",\n".join(json.dumps({"text": "x" * 1000}) for _ in range(20_000)))
    count, chunk = next(open_source(source(path=file)).chunks())  # the end is missing: not read yet
    assert len(list(chunk.rows())) == count
    bomb = tmp_path / "bomb.jsonl.gz"
    with gzip.open(bomb, "wb") as packed:
        for _ in range(50):
            packed.write(b'{"a": 1}\n' * 100_000)
    assert len(rows(path=bomb, limit=3)) == 3


def test_a_text_that_stands_in_every_row_of_a_table_is_in_memory_once(tmp_path: Path) -> None:
    """A thousandth of what these 1,700 bytes say is more than a machine has."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * (1 << 20)])
    bomb = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"question": text, "answer": text}), bomb, compression="zstd")
    before = pa.total_allocated_bytes()
    found = rows(path=bomb, limit=100)
    assert len(found[99].data["answer"]) == 1 << 20
    assert pa.default_memory_pool().max_memory() - before < 512 << 20


def test_a_table_that_says_its_rows_are_giants(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x" * (17 << 20)]}), file, compression="zstd")
    assert "rows of more than 16 MiB in text" in refused(path=file)


def test_a_file_that_is_compressed_and_does_not_say_so(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(PACKED)
    assert "Let its name end in .gz" in refused(path=file)


def test_pairs(tmp_path: Path) -> None:
    inputs, answers = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    answers.mkdir()
    for name in ("b", "a"):
        (inputs / f"{name}.txt").write_text(f"input {name}")
        (answers / f"{name}.json").write_bytes(f"résposta {name}".encode("latin-1"))
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Read: <text>. Now answer.")
    pairs = {"inputs": str(inputs), "answers": str(answers), "answer_mask": "*.json"}
    found = rows(pairs={**pairs, "prompt": str(prompt)})
    assert [row.data for row in found] == [
        {"id": n, "prompt": f"Read: input {n}. Now answer.", "completion": f"résposta {n}"}
        for n in ("a", "b")
    ]
    assert found[0].where == f"{answers / 'a.json'}:1"
    prompt.write_text("Answer this.\n")
    assert cells(pairs={**pairs, "prompt": str(prompt)})[0]["prompt"] == "Answer this.\n\ninput a"
    assert len(cells(pairs={**pairs, "answer_mask": r".*\.json$"})) == 2  # a regular expression
    table = tmp_path / "in.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "said": ["x", "y"]}), table)
    from_table = {**pairs, "inputs": str(table), "input_column": "said"}
    assert [row["prompt"] for row in cells(pairs=from_table)] == ["x", "y"]
    pq.write_table(pa.table({"name": ["a", "b"], "said": ["x", "y"]}), table)
    assert len(cells(pairs={**from_table, "id_column": "name"})) == 2
    prompt.write_text("Read @@: now.")
    other = {**pairs, "prompt": str(prompt), "placeholder": "@@"}
    assert cells(pairs=other)[0]["prompt"] == "Read input a: now."
    (inputs / "notes.md").write_text("not meant")
    assert len(cells(pairs={**pairs, "input_mask": "*.txt"})) == 2
    assert "input" in refused(pairs={**pairs, "input_mask": "*.md"})
    (inputs / "notes.md").unlink()
    (answers / "c.json").write_text("alone")
    assert "1 answers without an input: c" in refused(pairs=pairs)
    (answers / "c.json").unlink()
    (inputs / "d.txt").write_text("alone")
    assert "1 inputs without an answer: d" in refused(pairs=pairs)
    assert "fits" in refused(pairs={**pairs, "answer_mask": "*.none"})


def test_encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Fernet.generate_key()
    cipher = Fernet(key)
    monkeypatch.setenv("DATA_KEY", key.decode())
    file = tmp_path / "a.jsonl"
    secret = [
        {**row, "answer": cipher.encrypt(row["answer"].encode()).decode()} for row in CELLS[:9]
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in secret))
    columns = {"key_env": "DATA_KEY", "columns": ["answer"]}
    assert cells(path=file, encryption=columns) == CELLS[:9]
    for _, chunk in open_source(source(path=file, encryption=columns)).chunks():
        assert key not in pickle.dumps(chunk)
    whole = tmp_path / "b.jsonl.fernet"
    whole.write_bytes(cipher.encrypt(JSONL.encode()))
    assert cells(path=whole, encryption={"key_env": "DATA_KEY"}) == CELLS
    whole.write_bytes(b"\n".join(cipher.encrypt(line.encode()) for line in JSONL.splitlines()[:5]))
    assert cells(path=whole, encryption={"key_env": "DATA_KEY"}) == CELLS[:5]
    inputs, answers = tmp_path / "in", tmp_path / "out"
    for folder, text in ((inputs, "asked"), (answers, "said")):
        folder.mkdir()
        (folder / "x.txt").write_bytes(cipher.encrypt(text.encode()))
    pairs = {"inputs": str(inputs), "answers": str(answers)}
    (pair,) = cells(pairs=pairs, encryption={"key_env": "DATA_KEY"})
    assert (pair["prompt"], pair["completion"]) == ("asked", "said")
    table = tmp_path / "in.parquet"
    token = cipher.encrypt(b"asked").decode()
    pq.write_table(pa.table({"id": ["x"], "said": [token]}), table)
    from_table = {**pairs, "inputs": str(table), "input_column": "said"}
    assert cells(pairs=from_table, encryption={"key_env": "DATA_KEY"}) == [pair]
    with file.open("a") as more:
        more.write('{"question": "q", "answer": "in clear"}\n')
    assert rows(path=file, encryption=columns)[9].problem is not None
    monkeypatch.setenv("DATA_KEY", Fernet.generate_key().decode())
    assert "another key" in refused(path=file, encryption=columns)
    assert "another key" in refused(path=whole, encryption={"key_env": "DATA_KEY"})
    monkeypatch.setenv("DATA_KEY", "not a key")
    assert "holds no Fernet key" in refused(path=file, encryption=columns)
    monkeypatch.delenv("DATA_KEY")
    assert "DATA_KEY is not set" in refused(path=file, encryption=columns)
    assert "DATA_KEY is not set" in refused(pairs=pairs, encryption={"key_env": "DATA_KEY"})
    left = {path.name for path in tmp_path.iterdir()} - {"in", "out", "in.parquet"}
    assert left == {"a.jsonl", "b.jsonl.fernet"}
