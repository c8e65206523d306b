"""Whose a file is, and that no key of another tool is lost, whatever its value."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer_core.config.imports import Converted, axolotl, convert, llama_factory, tool_of, treinar
from trainer_core.config.imports.reading import Table
from trainer_core.config.load import LoadedConfig, load_config
from trainer_core.config.yaml_file import dump_yaml, parse_yaml, read_yaml
from trainer_core.errors import UserError

Bring = Callable[[str], tuple[LoadedConfig, Converted]]
Refuse = Callable[[str], UserError]

OURS = "model:\n  base: base\ndata:\n  train: rows.jsonl\n"


@pytest.mark.parametrize(
    "text",
    [
        OURS,
        OURS + "base_model: x\n",
        OURS + "modelo: {base: x}\ntreinamento: {}\n",
        "model:\n  base_model: x\n",
        "data: {train: x}\nmodel_name_or_path: x\n",
        "trainig: {steps: 3}\nlora: {r: 8}\n",
        "preset: demo\n",
        "run: {name: x}\ndatasets: [x]\n",
        "lora: {rank: 8}\n",
        "nothing: known\n",
    ],
)
def test_a_file_of_ours_stays_ours_whatever_is_wrong_with_it(text: str) -> None:
    source = parse_yaml(text, "x.yaml")
    assert tool_of(source.data) is None
    with pytest.raises(UserError):
        convert(source)


def test_a_mistake_in_a_file_of_ours_is_still_named_as_such(refuse: Refuse) -> None:
    error = refuse(OURS + "treinamento: {epochs: 3}\n")
    assert "treinamento is not a known field" in str(error)
    assert error.where.endswith(":5")


def test_the_shipped_configs_are_ours() -> None:
    configs = Path(__file__).parent.parent.parent / "configs"
    for path in configs.rglob("*.yaml"):
        if path.name != "facts.yaml":
            assert tool_of(read_yaml(path).data) is None, path


TABLES: dict[str, tuple[str, Table]] = {
    "flat": ("base_model_name: base\ndataset_train_path: rows.jsonl\n", treinar.flat_table(False)),
    "axolotl": (
        "base_model: base\nadapter: lora\ndatasets: [{path: rows.jsonl, type: alpaca}]\n",
        axolotl.TABLE,
    ),
    "llama_factory": (
        "model_name_or_path: base\nstage: sft\ndataset: rows.jsonl\n",
        llama_factory.TABLE,
    ),
}
VALUES = ["true", "false", "1", "0", "0.5", "some-word", "none", "[a, b]", "{a: 1}"]


@pytest.mark.parametrize("tool", TABLES)
def test_whatever_a_key_says_it_is_taken_over_or_named(
    all_said_or_refused: Callable[[str], bool], tool: str
) -> None:
    text, table = TABLES[tool]
    keys = [key for key in table if not re.search(rf"^{key}:", text, re.MULTILINE)]
    right = [all_said_or_refused(f"{text}{key}: {value}\n") for key in keys for value in VALUES]
    assert len(right) > sum(right) > len(keys)  # some are right, some are wrong


def test_a_converted_file_is_one_of_ours(bring: Bring, folder: Path) -> None:
    loaded, converted = bring("base_model: base\ndatasets: [{path: rows.jsonl}]\nlora_r: 8\n")
    path = folder / "ours.yaml"
    path.write_text(dump_yaml(converted.file.data))
    again = load_config(path)
    assert tool_of(read_yaml(path).data) is None
    assert (again.config, again.notes) == (loaded.config, ())


def test_flags_come_before_what_a_file_of_another_tool_says(folder: Path) -> None:
    path = folder / "theirs.yaml"
    path.write_text("model_name_or_path: base\nstage: sft\ndataset: identity\nmax_steps: 9\n")
    config = load_config(path, ["data.train=held_out.jsonl", "training.steps=2"]).config
    assert (config.training.steps, config.data.train[0].limit) == (2, None)


def test_hostile_files_are_a_user_error(folder: Path) -> None:
    esc = "\\x1b]0;x\\x07"
    for text in (
        "base_model: []\n",
        "base_model: {a: {b: c}}\ndatasets: 3\n",
        f"base_model: {'x' * 5000}\n",
        'base_model: "a\\0b"\ndatasets: [{path: "c\\0d"}]\nnum_epochs: x\n',
        "model_name_or_path: x\ndataset: x\ndataset_dir: /dev/null\n",
        "curriculum: []\n",
        "curriculum: {divisao: [3]}\n",
        "curriculum: {divisao: {proporcao: {a: {b: c}}}}\n",
        "pastas: {divisao: []}\n",
        "modelo: 3\n",
        "misc: {pastas_base: {a: b}}\nmodelo: {}\n",
        f'modelo: {{base: x}}\ntreinamento: {{"{esc}": 1, nbits: "{esc}"}}\n',
        "dataset_train_path: 3\n",
    ):
        path = folder / "theirs.yaml"
        path.write_text(text)
        with pytest.raises(UserError) as caught:
            load_config(path, ["data.train=rows.jsonl"] if "base_model: " not in text else [])
        assert "\x1b" not in str(caught.value)


def test_notes_hold_no_control_characters(bring: Bring) -> None:
    text = 'base_model: base\ndatasets: [{path: rows.jsonl}]\n"\\x1b[31mred": 1\n'
    notes = bring(text)[1].notes
    assert any("red is not a key" in note for note in notes)
    assert not any("\x1b" in note for note in notes)
