"""A PEFT adapter as plain matrices: what is added to which tensor of the base."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from trainer_core.errors import UserError
from trainer_core.export.weights import ADAPTER, SafetensorsFolder
from trainer_core.planning.adapter_config import ADAPTER_CONFIG, read_adapter_config
from trainer_core.text import one_line

_PREFIX = "base_model.model."
# A module's name, what of it is stored, and sometimes ".weight".
_PART = re.compile(
    r"^(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)"
)
# Settings that change what the matrices mean, in ways that are not followed here.
_FOREIGN = (
    "layer_replication",
    "trainable_token_indices",
    "lora_bias",
    "corda_config",
    "eva_config",
)


@dataclass(frozen=True)
class LoraPair:
    """W + scale · b a, for W [out, in]: a [r, in], b [out, r]. With DoRA `magnitude` [out] is the
    length of each row afterwards. Float32."""

    a: torch.Tensor
    b: torch.Tensor
    scale: float
    magnitude: torch.Tensor | None = None

    @property
    def rank(self) -> int:
        """r."""
        return int(self.a.shape[0])


@dataclass(frozen=True)
class Adapter:
    """An adapter. `pairs` and `replaced` (whole tensors that were trained) are keyed by the base
    tensor's name, such as `model.layers.0.self_attn.q_proj.weight`."""

    folder: Path
    base: str
    pairs: dict[str, LoraPair]
    replaced: dict[str, torch.Tensor]


def read_adapter(folder: Path) -> Adapter:
    """Read the folder that PEFT saved. Raises UserError for what is no LoRA adapter, or one of a
    kind that is not understood."""
    config = _config(folder)
    weights = SafetensorsFolder(folder, ADAPTER)
    parts: dict[str, dict[str, torch.Tensor]] = {}
    replaced: dict[str, torch.Tensor] = {}
    for name, facts in weights.tensors.items():
        plain = name.removeprefix(_PREFIX)
        if ".base_layer." in plain:  # the base's own, which PEFT keeps beside trained embeddings
            continue
        tensor = weights.rows(name, 0, facts.rows).float()
        match = _PART.match(plain)
        if match is None:
            replaced[plain] = tensor
        elif plain.endswith(".bias"):
            raise UserError(f"the adapter in {folder} has biases of its own ({plain})")
        else:
            parts.setdefault(match[1], {})[match[2]] = tensor
    pairs = {f"{module}.weight": _pair(module, part, config) for module, part in parts.items()}
    base = str(config.get("base_model_name_or_path") or "")
    return Adapter(folder, base, pairs, replaced)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = read_adapter_config(folder)
    except FileNotFoundError:
        raise UserError(f"{folder} has no {ADAPTER_CONFIG}") from None
    foreign = [name for name in _FOREIGN if config.get(name)]
    if foreign:
        raise UserError(f"the adapter in {folder} uses {foreign[0]}, which is not understood")
    return config


def _pair(module: str, part: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> LoraPair:
    try:
        if "lora_embedding_A" in part:  # of the transposed weight: [vocabulary, width]
            a, b = part["lora_embedding_B"].T, part["lora_embedding_A"].T
        else:
            a, b = part["lora_A"], part["lora_B"]
        if config.get("fan_in_fan_out"):  # the weight is kept as [in, out]
            a, b = b.T, a.T
        rank = int(a.shape[0])
        alpha = float(_of_pattern(module, config.get("alpha_pattern"), config["lora_alpha"]))
        if a.dim() != 2 or b.dim() != 2 or not b.shape[1] == rank > 0 or not math.isfinite(alpha):
            raise ValueError("its matrices or its alpha cannot be")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, re.error) as error:
        reason = one_line(str(error), limit=200)
        raise UserError(f"the adapter's part for {module} is not whole: {reason}") from None
    scale = alpha / rank**0.5 if config.get("use_rslora") else alpha / rank
    pair = LoraPair(a.contiguous(), b.contiguous(), scale)
    magnitude = part.get("lora_magnitude_vector")
    if magnitude is None:
        return pair
    if "lora_embedding_A" in part or config.get("fan_in_fan_out"):
        raise UserError(f"DoRA on {module} is not understood")
    return replace(pair, magnitude=magnitude.reshape(-1))


def _of_pattern(module: str, pattern: Any, default: Any) -> Any:
    """PEFT's rule: the first key that fits the end of the module's name, as an expression."""
    for key, value in (pattern or {}).items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return default
