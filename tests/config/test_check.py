"""Everything that is wrong with a config's text at once, each at its field."""

from pathlib import Path

import pytest

from trainer_core.config.check import check_text
from trainer_core.errors import UserError

VALID = "model: {base: x/y}\ndata: {train: rows.jsonl}\n"


def mistakes(text: str) -> dict[str, str]:
    checked = check_text(text, "run.yaml", Path())
    return {".".join(map(str, wrong.keys)): str(wrong) for wrong in checked.mistakes}


def test_a_valid_text_is_loaded(tmp_path: Path) -> None:
    checked = check_text(VALID, "run.yaml", tmp_path)
    assert checked.mistakes == ()
    assert checked.loaded is not None
    assert checked.loaded.config.data.train[0].path == str(tmp_path / "rows.jsonl")


def test_every_mistake_is_told_with_its_line() -> None:
    found = mistakes(
        VALID + "training:\n  steps: x\n  epoch: 2\nlora: {dropout: 2, rank: -1}\nrnu:\n"
    )
    assert list(found) == ["lora.rank", "lora.dropout", "training.steps", "training.epoch", "rnu"]
    assert "run.yaml:4: training.steps: should be a valid integer" in found["training.steps"]
    assert "Did you mean training.epochs?" in found["training.epoch"]
    assert "run.yaml:7: rnu is not a known field" in found["rnu"]


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "model:\n", "model:\n  base:\ndata:\n  train:\n", "run: {}\n"]
)
def test_what_must_be_given_is_missing_until_it_is(text: str) -> None:
    found = mistakes(text)
    assert list(found) == ["model.base", "data.train"]
    assert "model.base is missing. Add it: A folder with a model" in found["model.base"]


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("lora: 3\n", "lora", "should be a valid dictionary"),
        ("model: 3\n", "model", "should be a valid dictionary"),
        ("preset: qwen9\n", "preset", "there is no preset 'qwen9'"),
        ("preset: 3\n", "preset", "takes a name, a path, or a list of them"),
        ("training: {steps: 3, epochs: 2}\n", "training", "set either steps or epochs, not both"),
        ("data: {test: [{path: x, hub: y}]}\n", "data.test.0", "name exactly one of"),
    ],
)
def test_mistakes_of_whole_sections_and_of_presets(text: str, name: str, words: str) -> None:
    assert words in mistakes(text)[name]


@pytest.mark.parametrize("key", ["my-key", "a b", "int", "", "é", "[b]", "1"])
def test_an_unknown_key_may_be_any_text(key: str) -> None:
    for text in (f'"{key}": 1\n', f'training: {{"{key}": 1}}\n'):
        assert any("is not a known field" in wrong for wrong in mistakes(VALID + text).values())


def test_what_is_no_yaml_is_one_sentence_with_the_line() -> None:
    with pytest.raises(UserError, match=r"run\.yaml:2: not valid YAML"):
        check_text("model: {base: x}\ndata: [", "run.yaml", Path())
