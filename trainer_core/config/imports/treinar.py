"""treinar_unsloth: its four generations of config files, told apart by their keys.

Flat files (F); sections (S); the bridge (B), in which `predicao` is an output and `dataset` has the
answers that were in `predicao` before; and the curriculum (C), with `saida` for the answers.
"""

from collections.abc import Mapping
from typing import Any

from trainer_core.config.imports import treinar_data as rows
from trainer_core.config.imports import treinar_training as loop
from trainer_core.config.imports.reading import Reading, Table
from trainer_core.config.imports.rules import (
    put_folder,
    to,
)
from trainer_core.config.imports.treinar_sections import (
    BRIDGE,
    CURRICULUM,
    SECTIONS,
    read_sections,
)
from trainer_core.config.imports.values import text

FLAT = "treinar_unsloth (flat)"
_FLAT_KEYS = {"dataset_train_path", "base_model_name"}
_SECTION_KEYS = {"formatos", "pastas", "curriculum", "modelo", "treinamento"}


def generation(data: Mapping[str, Any]) -> str | None:
    """Which generation a file is of; None if of none."""
    if not _SECTION_KEYS & data.keys():
        return FLAT if _FLAT_KEYS & data.keys() else None
    holder = data.get("curriculum") if "curriculum" in data else data.get("pastas")
    inside: dict[str, Any] = holder if isinstance(holder, dict) else {}
    if isinstance(inside.get("dataset"), dict) and "saida" not in inside:
        return BRIDGE
    if "curriculum" in data:
        return CURRICULUM
    return BRIDGE if isinstance(inside.get("divisao"), list) else SECTIONS


def read_treinar(reading: Reading) -> dict[str, tuple[str, str]]:
    """Set our fields from a file; gives what the tool would have taken for others."""
    return _read_flat(reading) if reading.tool == FLAT else read_sections(reading)


def flat_table(full: bool) -> Table:
    """The keys of a flat file; `full`: all weights are trained."""
    return {
        "dataset_train_path": rows.split_file("data.train", ("train_prompt_col",)),
        "dataset_eval_path": rows.split_file("data.validation", rows.EVAL_COLUMNS),
        "train_prompt_col": rows.column("dataset_train_path"),
        "eval_prompt_col": rows.column("dataset_eval_path"),
        "base_model_name": to("model.base", text),
        "output_dir": put_folder,
        **loop.training(full),
        **loop.lora(full, prefix="lora_"),
    }


def _read_flat(reading: Reading) -> dict[str, tuple[str, str]]:
    full = loop.method(reading, (), ("lora_r",))
    reading.follow(flat_table(full), reading.source.data)
    reading.put_with("model.max_length", "data.too_long", "truncate")
    reading.put_with("lora.rank", "lora.alpha", reading.get("lora.rank"))
    return {}
