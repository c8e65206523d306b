"""Data to examples: what is dropped is counted, what is kept is exactly what the model gets."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import psutil
import pytest

from trainer_core.config.data_section import DataSection
from trainer_core.data.problems import UNUSABLE, only_looked_at, stops
from trainer_core.data.row_view import MAX_TOKENS
from trainer_core.errors import BackpropError, UserError
from trainer_core.tokens import cache, columns, pool
from trainer_core.tokens.encode_chunk import EncoderSetup
from trainer_core.tokens.prepare import Prepared, prepare
from trainer_core.tokens.split_out import write_splits

GOOD = [{"question": f"What is {n} + {n}?", "answer": f"It is {n + n}."} for n in range(40)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def setup(demo: Path) -> EncoderSetup:
    return EncoderSetup(demo / "base", None, "demo", "all")


def write(file: Path, rows: list[Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def data(file: Path, **settings: Any) -> DataSection:
    return DataSection.model_validate({"train": str(file), **settings})


def everything(prepared: Prepared) -> list[list[int]]:
    return [example.labels.tolist() for example in prepared.splits["train"]]


def test_every_kind_of_problem_is_counted_and_named(tmp_path: Path, setup: EncoderSetup) -> None:
    long = "word " * 400
    file = write(
        tmp_path / "rows.jsonl",
        [
            *GOOD,
            {"question": "q", "answer": ""},
            {"question": "q\u0000", "answer": "a"},
            {"prompt": "p", "completion": "c"},
            GOOD[0],
            {"question": "Long?", "answer": long},
        ],
    )
    with file.open("a") as more:
        more.write("{nope}\n")
    skip = data(file, problems="skip", split={"fractions": [1.0]})
    report = prepare(skip, setup, 128, seed=1).report
    assert report.counts == {
        "empty turn": 1,
        "garbage": 1,
        "another format": 1,
        "unreadable": 1,
        "duplicate": 1,
        "too long": 1,
    }
    assert {problem.where: problem.kind for problem in report.problems} == {
        f"{file}:41": "empty turn",
        f"{file}:42": "garbage",
        f"{file}:43": "another format",
        f"{file}:44": "duplicate",
        f"{file}:45": "too long",
        f"{file}:46": "unreadable",
    }
    assert (report.rows, report.split("train").examples) == (46, 41)
    for kind, count in report.counts.items():
        assert report.fates[kind].startswith("kept" if kind == "duplicate" else "dropped"), count
    with pytest.raises(UserError) as caught:
        prepare(data(file), setup, 128, seed=1)
    assert caught.value.where == f"{file}:41"
    assert "data.problems: skip" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "where", "setting"),
    [
        ({"duplicates": "strict"}, 3, "data.duplicates"),
        ({"too_long": "strict"}, 2, "data.too_long"),
        ({"min_tokens": 14}, 1, "too short"),
    ],
)
def test_strict_stops_at_the_row(
    tmp_path: Path, setup: EncoderSetup, settings: dict[str, Any], where: int, setting: str
) -> None:
    short = {"question": "q", "answer": "a"}
    rows = [short, {"question": "q", "answer": "long " * 200}, short, *GOOD]
    file = write(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UserError) as caught:
        prepare(data(file, **settings), setup, 128, seed=1)
    assert caught.value.where == f"{file}:{where}"
    assert setting in str(caught.value)


def test_columns_that_rows_are_kept_together_and_shared_out_by(
    tmp_path: Path, setup: EncoderSetup
) -> None:
    rows = [{**row, "person": n // 4, "kind": n % 2} for n, row in enumerate(GOOD)]
    file = write(tmp_path / "rows.jsonl", rows)

    def validation(**split: Any) -> list[dict[str, Any]]:
        section = data(file, split={"fractions": [0.6, 0.4], **split})
        prepared = prepare(section, setup, 128, seed=1)
        return [row.data for row in prepared.raw_rows("validation")]

    people = [row["person"] for row in validation(group="person")]
    assert all(people.count(person) == 4 for person in people)
    assert any(people.count(person) < 4 for person in [r["person"] for r in validation()])
    kinds = [row["kind"] for row in validation(stratify="kind")]
    assert kinds.count(0) == kinds.count(1) == 8


def test_too_long_is_dropped_cut_or_carried_on(tmp_path: Path, setup: EncoderSetup) -> None:
    rows = [*GOOD, {"question": "Long?", "answer": " ".join(str(n) for n in range(300))}]
    file = write(tmp_path / "rows.jsonl", rows)
    whole_splits = {"fractions": [1.0]}

    def prepared(too_long: str) -> Prepared:
        return prepare(data(file, too_long=too_long, split=whole_splits), setup, 64, seed=1)

    whole = prepare(data(file, split=whole_splits), setup, None, seed=1).splits["train"][40]
    dropped, cut, split = prepared("drop"), prepared("truncate"), prepared("split")
    assert len(dropped.splits["train"]) == 40
    assert len(cut.splits["train"]) == 41
    assert cut.splits["train"][40].ids.tolist() == whole.ids[:64].tolist()
    parts = [split.splits["train"][n] for n in range(40, len(split.splits["train"]))]
    assert np.concatenate([part.ids for part in parts]).tolist() == whole.ids.tolist()
    assert np.concatenate([part.labels for part in parts]).tolist() == whole.labels.tolist()
    lost = cut.report.split("train")
    assert lost.tokens_lost == len(whole.ids) - 64
    assert lost.trained_tokens_lost == int(whole.trained[64:].sum())
    assert lost.trained_tokens == sum(int(example.trained.sum()) for example in cut.splits["train"])


def test_what_is_cut_off_before_the_answer_is_not_trained(
    tmp_path: Path, setup: EncoderSetup
) -> None:
    rows = [*GOOD, {"question": "long " * 200, "answer": "never seen"}]
    file = write(tmp_path / "rows.jsonl", rows)
    for too_long in ("truncate", "drop"):
        section = data(file, too_long=too_long, split={"fractions": [1.0]})
        assert len(prepare(section, setup, 64, seed=1).splits["train"]) == 40


def test_the_second_time_comes_from_the_cache(
    tmp_path: Path, setup: EncoderSetup, demo: Path
) -> None:
    file = write(tmp_path / "rows.jsonl", GOOD)
    first = prepare(data(file), setup, 128, seed=1)
    again = prepare(data(file), setup, 128, seed=1)
    assert (first.report.cached, again.report.cached) == (False, True)
    assert everything(first) == everything(again)
    other_split = prepare(data(file, split={"fractions": [0.5, 0.5]}), setup, 128, seed=1)
    assert other_split.report.cached  # how rows are split is decided afterwards
    last = EncoderSetup(demo / "base", None, "demo", "last")
    assert not prepare(data(file), last, 128, seed=1).report.cached
    write(file, GOOD[:20])
    changed = prepare(data(file), setup, 128, seed=1)
    assert (changed.report.cached, changed.report.rows) == (False, 20)


def test_a_broken_cache_is_made_anew(tmp_path: Path, setup: EncoderSetup) -> None:
    file = write(tmp_path / "rows.jsonl", GOOD)
    first = everything(prepare(data(file), setup, 128, seed=1))
    (kept,) = cache.cache_folder().iterdir()
    ids = kept / "ids.bin"
    os.truncate(ids, ids.stat().st_size - 4)
    again = prepare(data(file), setup, 128, seed=1)
    assert not again.report.cached
    assert everything(again) == first
    assert [folder.name for folder in cache.cache_folder().iterdir()] == [kept.name]


def test_several_processes_give_what_one_gives(
    tmp_path: Path, setup: EncoderSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"question": f"{n} {'x ' * (n % 300)}", "answer": f"{n}" if n % 50 else ""}
        for n in range(20_000)
    ]
    file = write(tmp_path / "rows.jsonl", rows)
    section = data(file, problems="skip")
    one = prepare(section, setup, 64, seed=1, workers=1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(pool, "HEAD", 1)
    several = prepare(section, setup, 64, seed=1, workers=2)
    assert not several.report.cached
    assert several.report.counts == one.report.counts
    assert several.report.problems == one.report.problems
    assert np.array_equal(one.splits["train"].lengths, several.splits["train"].lengths)
    for index in range(0, len(one.splits["train"]), 997):
        first, second = one.splits["train"][index], several.splits["train"][index]
        assert (first.where, first.labels.tolist()) == (second.where, second.labels.tolist())


def test_several_sources_weights_limits_and_other_splits(
    tmp_path: Path, setup: EncoderSetup
) -> None:
    one, other = write(tmp_path / "a.jsonl", GOOD[:10]), write(tmp_path / "b.jsonl", GOOD[10:20])
    messages = [
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}
    ]
    held = write(tmp_path / "held.jsonl", messages)
    section = DataSection.model_validate(
        {
            "train": [{"path": str(one), "weight": 2}, str(other)],
            "validation": str(held),
            "limit": 15,
        }
    )
    prepared = prepare(section, setup, 128, seed=1)
    assert len(prepared.splits["train"]) == 25
    assert prepared.splits["validation"][0].where == f"{held}:1"
    assert [source.format for source in prepared.report.sources] == [
        "question and answer",
        "question and answer",
        "OpenAI messages",
    ]


def test_a_row_as_it_is_shown(tmp_path: Path, setup: EncoderSetup) -> None:
    file = write(
        tmp_path / "rows.jsonl", [{"question": "A hen 🐔?", "answer": "It clucks."}, *GOOD]
    )
    prepared = prepare(data(file, split={"fractions": [1.0]}), setup, 16, seed=1)
    view = prepared.view("train", 0)
    assert [(turn.role, turn.trained) for turn in view.turns] == [
        ("user", False),
        ("assistant", True),
    ]
    text = "".join(token.text for token in view.tokens)
    assert "A hen 🐔?" in text
    trained = "".join(token.text for token in view.tokens if token.trained)
    assert trained.strip() == "It clucks.<|im_end|>"
    assert [token.lost for token in view.tokens] == [n >= 16 for n in range(len(view.tokens))]
    assert any("beyond" in problem for problem in view.problems)
    assert prepared.search("train", "WHAT IS 7") == 8
    assert prepared.search("train", "what is 7", 9) is None


def test_without_a_model_rows_are_checked_and_nothing_else(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", [*GOOD, GOOD[3]])
    prepared = prepare(data(file), None, None, seed=1)
    assert prepared.report.counts["duplicate"] == 1
    assert prepared.report.split("train").tokens == 0
    assert prepared.view("train", 0).turns
    assert not prepared.view("train", 0).tokens


def test_nothing_is_left_behind_when_it_is_ended(tmp_path: Path, setup: EncoderSetup) -> None:
    file = write(tmp_path / "rows.jsonl", GOOD)

    def end(rows: int, seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(data(file), setup, 128, seed=1, progress=end)
    assert list(cache.cache_folder().iterdir()) == []


PASS = """
import sys
from pathlib import Path
from trainer_core.config.data_section import DataSection
from trainer_core.tokens import pool
from trainer_core.tokens.encode_chunk import EncoderSetup
from trainer_core.tokens.prepare import prepare
pool.HEAD = 1
setup = EncoderSetup(Path(sys.argv[2]), None, "demo", "all")
prepare(DataSection.model_validate({"train": sys.argv[1]}), setup, 128, seed=1, workers=2)
"""


def test_a_killed_pass_takes_its_processes_along_and_its_tokens_later(
    tmp_path: Path, setup: EncoderSetup
) -> None:
    file = write(tmp_path / "rows.jsonl", GOOD * 10_000)
    parent = psutil.Popen([sys.executable, "-c", PASS, str(file), str(setup.base)])
    deadline = time.monotonic() + 60
    while len(children := parent.children(recursive=True)) < 3:  # two, and Python's own tracker
        assert parent.is_running()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    (left,) = cache.cache_folder().iterdir()
    assert left.suffix == ".part"
    prepare(data(write(tmp_path / "other.jsonl", GOOD)), setup, 128, seed=1)
    assert not left.exists()


def test_of_a_very_long_row_the_beginning_is_shown(tmp_path: Path, setup: EncoderSetup) -> None:
    long = {"question": "Count.", "answer": " 1" * MAX_TOKENS}
    prepared = prepare(data(write(tmp_path / "a.jsonl", [long, *GOOD])), setup, None, seed=1)
    view = prepared.view("train", 0)
    assert len(view.tokens) == MAX_TOKENS
    assert view.left_out == prepared.report.split("train").lengths.max - MAX_TOKENS > 0


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"problems": "strict"}, "garbage"),
        ({"too_long": "strict"}, "too long"),
        ({"duplicates": "strict"}, "duplicate"),
        ({"near_duplicates": "strict"}, "near duplicate"),
    ],
)
def test_a_look_stops_at_nothing_that_would_stop_a_run(settings: dict[str, str], kind: str) -> None:
    section = DataSection.model_validate({"train": "x", "problems": "skip", **settings})
    assert stops(section, kind)
    kinds = {*UNUSABLE, "too long", "duplicate", "near duplicate", "in two splits"}
    assert not any(stops(only_looked_at(section), each) for each in kinds)


def test_the_same_file_for_another_split_is_read_anew(tmp_path: Path, setup: EncoderSetup) -> None:
    one, other = write(tmp_path / "a.jsonl", GOOD[:20]), write(tmp_path / "b.jsonl", GOOD[20:])
    both = DataSection.model_validate({"train": [str(one), str(other)], "limit": 10})
    assert prepare(both, setup, 128, seed=1).report.rows == 10
    held = DataSection.model_validate({"train": str(one), "validation": str(other), "limit": 10})
    prepared = prepare(held, setup, 128, seed=1)
    assert (len(prepared.splits["train"]), len(prepared.splits["validation"])) == (10, 20)


def test_copies_of_a_near_duplicate_go_with_it(tmp_path: Path, setup: EncoderSetup) -> None:
    words = " ".join(f"word{n}" for n in range(60))
    row, almost = ({"question": "Say it.", "answer": words + end} for end in (" one.", " two."))
    train = write(tmp_path / "a.jsonl", [row, almost, almost, *GOOD])
    held = write(tmp_path / "b.jsonl", [almost, almost])
    section = data(train, near_duplicates="drop", split={"fractions": [1.0]})
    assert len(prepare(section, setup, None, seed=1).splits["train"]) == 1 + len(GOOD)
    section = DataSection.model_validate({"train": [str(train)], "validation": str(held)})
    report = prepare(section, setup, None, seed=1).report
    assert report.counts["in two splits"] == 2
    section = DataSection.model_validate(
        {"train": str(write(tmp_path / "c.jsonl", [row, *GOOD])), "validation": str(held)}
    )
    assert prepare(section, setup, None, seed=1).report.counts["in two splits"] == 2


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, setup: EncoderSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write(tmp_path / "rows.jsonl", GOOD * 50)

    def full(_: Path) -> BinaryIO:
        return Path("/dev/full").open("wb")

    monkeypatch.setattr(columns, "open_file", full)
    with pytest.raises(BackpropError, match="the disk is full"):
        prepare(data(rows), setup, 128, seed=1)
    assert list(cache.cache_folder().iterdir()) == []
    blocker = tmp_path / "no folder"
    blocker.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocker))
    with pytest.raises(BackpropError, match="cannot be written"):
        prepare(data(rows), setup, 128, seed=1)


def test_only_the_last_answer_is_shown_as_trained(tmp_path: Path, demo: Path) -> None:
    last = EncoderSetup(demo / "base", None, "demo", "last")
    roles = ["user", "assistant"] * 2
    talk = {"messages": [{"role": role, "content": f"{n}."} for n, role in enumerate(roles)]}
    section = data(write(tmp_path / "a.jsonl", [talk] * 3), train_on="last")
    view = prepare(section, last, 128, seed=1).view("train", 0)
    assert [turn.trained for turn in view.turns] == [False, False, False, True]


def test_odd_cells_are_written_and_odd_ids_are_followed(tmp_path: Path) -> None:
    odd = [{**row, "id": f"{n} ", "note": "\ud800"} for n, row in enumerate(GOOD)]
    section = data(write(tmp_path / "a.jsonl", odd), split={"fractions": [1.0]})
    written = dict(write_splits(section, prepare(section, None, None, seed=1), tmp_path / "out"))
    lines = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    assert list(written.values()) == [len(GOOD)]
    assert [json.loads(line) for line in lines] == odd
    by_id = {"file": str(tmp_path / "s.csv"), "id": "id"}
    for _ in range(2):
        again = data(tmp_path / "a.jsonl", split=by_id)
        assert prepare(again, None, None, seed=1).report.rows == len(GOOD)


def test_nothing_encrypted_names_rows_in_clear() -> None:
    secret = {"path": "a.jsonl", "encryption": {"key_env": "KEY", "columns": ["name"]}}
    with pytest.raises(ValueError, match="in clear"):
        DataSection.model_validate({"train": secret, "split": {"file": "s.csv", "id": "name"}})
    DataSection.model_validate({"train": secret, "split": {"file": "s.csv", "id": "number"}})
    with pytest.raises(ValueError, match="name the encrypted columns"):
        DataSection.model_validate({"train": {"hub": "a/b", "encryption": {"key_env": "KEY"}}})
