"""docs/importing.md names every key that is known, no other, and only fields that there are."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from trainer_core.config.imports import axolotl, axolotl_datasets, llama_factory, treinar
from trainer_core.config.imports import treinar_folders as folders
from trainer_core.config.imports.reading import Table
from trainer_core.config.imports.treinar_sections import (
    BRIDGE,
    CURRICULUM,
    SECTIONS,
    sections_table,
)
from trainer_core.config.imports.treinar_stages import stage_table
from trainer_core.config.imports.treinar_training import training
from trainer_core.config.mistakes import describe
from trainer_core.config.schema import RunConfig

DOC = Path(__file__).parent.parent.parent / "docs" / "importing.md"


def keys_of(table: Table, before: str = "") -> set[str]:
    found: set[str] = set()
    for key, rule in table.items():
        name = f"{before}{key}"
        found |= keys_of(rule, f"{name}.") if isinstance(rule, Mapping) else {name}
    return found


def of_treinar() -> set[str]:
    found = keys_of(treinar.flat_table(False))
    found |= keys_of({**folders.SPLIT, **stage_table()}, "divisao.")
    for tool, holder, gold in (
        (SECTIONS, "pastas", "predicao"),
        (BRIDGE, "pastas", "dataset"),
        (CURRICULUM, "curriculum", "saida"),
    ):
        at = folders.Folders(holder, gold, (holder, "divisao"))
        table = dict(sections_table(tool, at, training(False, sdpa=False), False))
        inside = table.pop(holder)
        assert isinstance(inside, Mapping)
        found |= keys_of(inside) | keys_of(table)
    return found - {"divisao", "pastas", "formatos", "dataset"}  # sections, read elsewhere


def of_axolotl() -> set[str]:
    found = keys_of(axolotl.TABLE) | keys_of(axolotl_datasets.TABLE, "datasets.")
    return found | keys_of(axolotl_datasets.TYPE, "datasets.type.")


TOOLS = {
    "treinar_unsloth": of_treinar,
    "Axolotl": of_axolotl,
    "LLaMA-Factory": lambda: keys_of(llama_factory.TABLE),
}


def rows(tool: str) -> list[tuple[str, str]]:
    _, _, section = DOC.read_text().partition(f"\n## {tool}\n")
    found = re.findall(r"^\| (`.*?) \| (.*) \|$", section.partition("\n## ")[0], re.MULTILINE)
    assert found
    return found


@pytest.mark.parametrize("tool", TOOLS)
def test_each_key_that_is_known_is_described_once(tool: str) -> None:
    named = [key for row in rows(tool) for key in re.findall(r"`(.+?)`", row[0])]
    assert sorted(named) == sorted(TOOLS[tool]())


@pytest.mark.parametrize("tool", TOOLS)
def test_each_field_of_ours_exists(tool: str) -> None:
    sections = "|".join(RunConfig.model_fields)
    for _, becomes in rows(tool):
        for field in re.findall(rf"`((?:{sections})\.[\w.]+)", becomes):
            assert describe(tuple(field.split("."))) or field == "data.train.encryption", field
