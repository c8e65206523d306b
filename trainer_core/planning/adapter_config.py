"""An adapter's adapter_config.json, checked before PEFT or anybody believes it."""

import math
import re
from pathlib import Path
from typing import Any

from trainer_core.errors import UserError
from trainer_core.reading import read_object
from trainer_core.text import one_line

ADAPTER_CONFIG = "adapter_config.json"
MOST_RANK = 1 << 16
# What makes matching an expression take time without end: a group that is repeated.
_REPEATED_GROUP, _LONGEST = re.compile(r"\)\s*[*+{]"), 500


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """What adapter_config.json of a LoRA adapter says, with a rank and an alpha that can be.

    Raises FileNotFoundError if there is none, UserError for another kind of adapter, for settings
    that would run code, and for expressions whose matching could take forever.
    """
    path = folder / ADAPTER_CONFIG
    config = read_object(path)
    if config.get("peft_type", "LORA") != "LORA":
        kind = one_line(str(config.get("peft_type")), limit=40)
        raise UserError(f"{path} is of a {kind} adapter, and LoRA is known")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 0 < rank <= MOST_RANK:
        said = one_line(repr(rank), limit=40)
        raise UserError(f"{path}: the rank r is {said}", hint=f"It is 1 to {MOST_RANK:,}.")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not _finite(alpha):
        said = one_line(repr(alpha), limit=40)
        raise UserError(f"{path}: lora_alpha is {said}", hint="It is a number.")
    code = _named_code(config)
    if code:
        raise UserError(
            f"{path} has {code}, which names Python code to be run",
            hint="Such an adapter is not read; ask its maker for plain weights.",
        )
    for pattern in _patterns(config, path):
        if len(pattern) > _LONGEST or _REPEATED_GROUP.search(pattern):
            raise UserError(
                f"{path} has a pattern that could take forever: {one_line(pattern, limit=80)}",
                hint="Name the modules plainly.",
            )
    return config


def _named_code(config: dict[str, Any]) -> str:
    """The setting by which PEFT would import a module that the file names; empty if there is none.
    PEFT itself writes `auto_mapping`, with the class of transformers that it wrapped."""
    if config.get("megatron_config"):
        return "megatron_config"
    mapping = config.get("auto_mapping")
    if not mapping:
        return ""
    library = mapping.get("parent_library") if isinstance(mapping, dict) else None
    known = isinstance(library, str) and re.fullmatch(r"transformers(\.\w+)*", library)
    return "" if known else "auto_mapping"


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _patterns(config: dict[str, Any], path: Path) -> list[str]:
    """The expressions that PEFT and we match the names of modules with."""
    found: list[Any] = [config.get("target_modules"), config.get("exclude_modules")]
    found += [config.get("layers_pattern"), config.get("target_parameters")]
    for name in ("alpha_pattern", "rank_pattern"):
        given = config.get(name) or {}
        if not isinstance(given, dict):
            raise UserError(f"{path}: {name} is no JSON object")
        found += given
    return [pattern for pattern in found if isinstance(pattern, str)]
