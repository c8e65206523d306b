"""A multi-run's parts: the same ones every time, no row lost, none trained on that is held out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer_core.config.load import load_config
from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError
from trainer_core.tokens.encode_chunk import EncoderSetup
from trainer_core.tokens.prepare import Examples, Prepared, prepare
from trainer_core.tokens.shards import Shard, cut, slices_of


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def rows(name: str, count: int, length: int = 1) -> list[dict[str, str]]:
    return [
        {"question": f"{name} {n}?", "answer": " ".join([f"{name}{n}"] * length)}
        for n in range(count)
    ]


class Data:
    """Two files, of 60 and of 40 rows, and 10 rows of validation; cut as the settings say."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.base, self.files = base, [folder / "first.jsonl", folder / "second.jsonl"]
        self.validation = folder / "validation.jsonl"
        self.write(self.files[0], rows("hen", 60))
        self.write(self.files[1], rows("cow", 40))
        self.write(self.validation, rows("pig", 10))

    def write(self, file: Path, content: list[dict[str, str]]) -> None:
        file.write_text("".join(json.dumps(row) + "\n" for row in content))

    def config(self, **settings: Any) -> RunConfig:
        values: dict[str, Any] = {
            "model.base": str(self.base),
            "data.train": [str(file) for file in self.files],
            "data.validation": str(self.validation),
            "training.packing": "off",
        }
        named = {f"multi_run.{name}": value for name, value in settings.items() if "." not in name}
        others = {name: value for name, value in settings.items() if "." in name}
        return load_config(None, values=values | named | others).config

    def cut(self, limit: int = 64, **settings: Any) -> tuple[Prepared, list[Shard], RunConfig]:
        config = self.config(**settings)
        setup = EncoderSetup(self.base, None, "demo", "all")
        prepared = prepare(config.data, setup, limit, config.training.seed)
        return prepared, cut(prepared, config), config


@pytest.fixture
def data(tmp_path: Path, demo: Path) -> Data:
    return Data(tmp_path, demo / "base")


def numbers(examples: Examples) -> list[int]:
    return examples.split.rows.tolist()


def test_rows_are_dealt_out_once_and_the_held_out_ones_to_no_run(data: Data) -> None:
    _, shards, _ = data.cut(runs=4)
    assert [shard.name for shard in shards] == ["shard 1", "shard 2", "shard 3", "shard 4"]
    trained = [row for shard in shards for row in numbers(shard.train)]
    held = [row for shard in shards for row in numbers(shard.held_out)]
    assert sorted(trained + held) == list(range(100))
    assert [len(shard.held_out) for shard in shards] == [2, 2, 2, 2]  # a tenth of 25
    assert any(row < 60 for row in numbers(shards[0].own))
    assert any(row >= 60 for row in numbers(shards[0].own))
    _, again, _ = data.cut(runs=4)
    assert [numbers(shard.train) for shard in again] == [numbers(shard.train) for shard in shards]
    _, other, _ = data.cut(runs=4, **{"training.seed": 1})
    assert numbers(other[0].train) != numbers(shards[0].train)


def test_rows_that_say_the_same_are_on_one_side(data: Data) -> None:
    data.write(data.files[0], rows("hen", 20) * 3)
    prepared, shards, _ = data.cut(runs=3)
    texts = [set(prepared.texts_of(part).tolist()) for s in shards for part in (s.own, s.held_out)]
    assert sum(len(part) for part in texts) == len(set().union(*texts)) == 60


def test_a_run_for_each_source_with_no_more_rows_than_asked_for(data: Data) -> None:
    _, shards, _ = data.cut(by_source=True, samples=20)
    assert [shard.name for shard in shards] == ["first", "second"]
    assert [len(shard.train) + len(shard.held_out) for shard in shards] == [20, 20]
    assert max(numbers(shards[0].train)) < 60 <= min(numbers(shards[1].train))


@pytest.mark.parametrize(
    ("how", "expected"), [("all", {0: 5, 1: 4}), ("recent", {0: 0, 1: 9}), ("random", None)]
)
def test_replayed_rows_make_up_their_share_and_come_from_runs_before(
    data: Data, how: str, expected: dict[int, int] | None
) -> None:
    _, shards, _ = data.cut(runs=4, replay=0.28, replay_from=how)
    assert len(shards[0].train) == len(shards[0].own)
    third = shards[2]
    replayed = numbers(third.train)[len(third.own) :]
    assert len(replayed) / len(third.train) == pytest.approx(0.28, abs=0.02)
    before = [set(numbers(shard.own)) for shard in shards[:2]]
    assert all(row in before[0] | before[1] for row in replayed)
    assert len(set(replayed)) == len(replayed)
    if expected is not None:
        assert {n: sum(row in before[n] for row in replayed) for n in (0, 1)} == expected
    assert third.facts.rows == len(third.train)
    assert third.facts.replayed == len(replayed)


def test_a_stage_has_sources_and_a_length_of_its_own(data: Data) -> None:
    data.write(data.files[1], rows("cow", 20) + rows("a longer cow", 20, length=20))
    stages = [{"max_length": 24}, {"name": "all", "sources": [1, 2]}, {"sources": [2]}]
    _, shards, _ = data.cut(limit=400, stages=stages, eval_rows=4)
    assert [shard.name for shard in shards] == ["first", "all", "second"]
    assert set(numbers(shards[1].train)) >= set(numbers(shards[0].train))
    held = {row for shard in shards for row in numbers(shard.held_out)}
    assert not held & {row for shard in shards for row in numbers(shard.train)}
    assert len(held) == 8  # what the second holds out are rows of the first
    stages[0] = {"sources": [2], "max_length": 24}
    _, shards, _ = data.cut(limit=400, stages=stages)
    assert max(shards[0].train.lengths) <= 24 < max(shards[1].train.lengths)
    _, cut_off, _ = data.cut(limit=400, stages=stages, **{"data.too_long": "truncate"})
    assert len(cut_off[0].train) > len(shards[0].train)
    assert max(cut_off[0].train.lengths) == 24
    _, pieces, _ = data.cut(limit=400, stages=stages, **{"data.too_long": "split"})
    own = [len(np.unique(shard[0].train.split.rows)) for shard in (cut_off, pieces)]
    assert own[0] == own[1]
    assert len(pieces[0].train) > len(cut_off[0].train)
    with pytest.raises(UserError, match=r"second.jsonl:\d+: \d+ tokens, and the stage takes 24"):
        data.cut(limit=400, stages=stages, **{"data.too_long": "strict"})


def test_what_is_scored_is_named_by_shard_and_the_general_slice_is_of_validation(
    data: Data,
) -> None:
    prepared, shards, config = data.cut(by_source=True, eval_rows=3)
    slices = slices_of(prepared, shards, config)
    assert {name: len(part) for name, part in slices.items()} == {
        "first": 3,
        "second": 3,
        "general": 3,
    }
    assert all(row >= 100 for row in numbers(slices["general"]))
    prepared, shards, config = data.cut(by_source=True, eval_rows=0)
    assert slices_of(prepared, shards, config) == {}
    assert len(shards[0].train) == 60


def test_two_of_a_name_are_told_apart(data: Data) -> None:
    stages = [{"name": "general", "sources": [1]}, {"name": "general", "sources": [2]}]
    assert [shard.name for shard in data.cut(stages=stages)[1]] == ["general (2)", "general (3)"]


def test_too_little_data_is_said(data: Data) -> None:
    data.write(data.files[0], rows("hen", 2))
    data.write(data.files[1], rows("cow", 1))
    with pytest.raises(UserError, match="3 different rows cannot be cut into 5 shards"):
        data.cut(runs=5)
    with pytest.raises(UserError, match="run 2 has a single row, and one is to be held out"):
        data.cut(by_source=True)
