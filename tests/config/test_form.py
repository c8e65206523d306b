"""The form's fields are those of the schema, and entries become the values that were meant."""

from typing import Any

import pytest

from trainer_core.config.form import FormField, entry_of, form_fields, value_of
from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError


def field(name: str) -> FormField:
    return next(field for field in form_fields() if field.name == name)


def test_every_field_of_every_section_is_there_once() -> None:
    names = [field.name for field in form_fields()]
    assert len(names) == len(set(names))
    for section, info in RunConfig.model_fields.items():
        inside = getattr(info.annotation, "model_fields", None)
        for name in inside or ():
            assert any(n.startswith(f"{section}.{name}") for n in names), f"{section}.{name}"
    assert "data.split.seed" in names
    assert "data.split" not in names
    assert field("data.split.seed").label == "split.seed"
    assert field("preset").section == ""


def test_every_field_says_what_it_is_for() -> None:
    for one in form_fields():
        assert one.doc.takes, one.name
        assert one.doc.description, one.name


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("training.scheduler", ("linear", "cosine", "constant", "polynomial", "inverse_sqrt")),
        ("model.quantization", ("auto", "none", "4bit", "8bit")),
        ("lora.dora", ("false", "true")),
        ("training.steps", ()),
        ("lora.targets", ()),
        ("model.base", ()),
    ],
)
def test_choices_where_nothing_else_can_be_said(name: str, choices: tuple[str, ...]) -> None:
    assert field(name).choices == choices


@pytest.mark.parametrize(
    ("name", "entry", "value"),
    [
        ("training.steps", " 200 ", 200),
        ("training.steps", "auto", "auto"),
        ("training.steps", "many", "many"),
        ("training.learning_rate", "2e-4", 2e-4),
        ("lora.dora", "true", True),
        ("model.quantization", "none", "none"),
        ("model.base", "123", "123"),
        ("model.base", "[odd] name", "[odd] name"),
        ("run.name", "true", "true"),
        ("data.train", "rows: 1.jsonl", "rows: 1.jsonl"),
        ("data.train", "[a.jsonl, {hub: x/y}]", ["a.jsonl", {"hub": "x/y"}]),
        ("data.split.fractions", "{train: 0.9, test: 0.1}", {"train": 0.9, "test": 0.1}),
        ("lora.targets", "all-linear", "all-linear"),
        ("lora.targets", "[q_proj]", ["q_proj"]),
        ("training.sample_prompts", "Who, or what?", ["Who, or what?"]),
        ("training.sample_prompts", "['a', b]", ["a", "b"]),
        ("tracking.to", "wandb", ["wandb"]),
    ],
)
def test_an_entry_means_what_a_person_meant(name: str, entry: str, value: Any) -> None:
    read = value_of(field(name), entry)
    assert read == value
    assert type(read) is type(value)
    if not isinstance(value, list):
        assert value_of(field(name), entry_of(value)) == value


def test_broken_brackets_are_said() -> None:
    with pytest.raises(UserError, match="not valid YAML"):
        value_of(field("data.train"), "[a, {b")
