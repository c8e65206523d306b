"""How a model's positions turn its queries and keys, as config.json says it: transformers 5 keeps
it in `rope_parameters`, older folders in `rope_theta` and `rope_scaling`."""

import math
from dataclasses import dataclass
from typing import Any

from trainer_core.errors import UserError

Values = dict[str, Any]


@dataclass(frozen=True)
class Rope:
    """`kind` is default, linear, llama3, yarn or longrope; `values` hold what belongs to it.
    `sliding_theta` is the base of layers that attend to a window, where they have their own;
    `part` the share of a head that is turned."""

    kind: str
    theta: float
    values: Values
    sliding_theta: float | None
    part: float


def rope_of(config: Values, theta: float = 10000.0) -> Rope:
    """What `config` says of positions; `theta` is the base where it says nothing."""
    given = config.get("rope_parameters") or config.get("rope_scaling") or {}
    nested = "full_attention" in given or "sliding_attention" in given
    values = dict((given.get("full_attention") or {}) if nested else given)
    sliding = (given.get("sliding_attention") or {}) if nested else {}
    kind = str(values.get("rope_type") or values.get("type") or "default").lower()
    if str(sliding.get("rope_type") or "default") != "default":
        raise UserError("the layers with a window scale their positions; llama.cpp cannot")
    local = sliding.get("rope_theta", config.get("rope_local_base_freq"))
    values.setdefault("original_max_position_embeddings", _original_length(config))
    return Rope(
        kind="longrope" if kind == "su" else kind,
        theta=float(values.get("rope_theta") or config.get("rope_theta") or theta),
        values=values,
        sliding_theta=None if local is None else float(local),
        part=float(
            values.get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1.0
        ),
    )


def scaling_keys(rope: Rope) -> Values:
    """The metadata of linear and yarn scaling, without the architecture's prefix."""
    if rope.kind == "linear":
        return {"rope.scaling.type": "linear", "rope.scaling.factor": float(rope.values["factor"])}
    if rope.kind == "yarn":
        _refuse_own_yarn(rope.values)
        keys = {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": float(rope.values["factor"]),
            "rope.scaling.original_context_length": int(
                rope.values["original_max_position_embeddings"]
            ),
        }
        for name in ("beta_fast", "beta_slow"):
            if rope.values.get(name) is not None:
                keys[f"rope.scaling.yarn_{name}"] = float(rope.values[name])
        return keys
    return {}


def llama3_factors(rope: Rope, head_size: int) -> Any:
    """What llama.cpp divides each frequency by: F32 [head_size / 2].

    Source: Llama 3.1, "apply_scaling". In single precision, as llama.cpp's converter computes it.
    """
    import torch

    values = rope.values
    factor, original = float(values["factor"]), values["original_max_position_embeddings"]
    low, high = float(values["low_freq_factor"]), float(values["high_freq_factor"])
    powers = torch.arange(0, head_size, 2, dtype=torch.float32) / head_size
    waves = 2 * math.pi / (1.0 / (rope.theta**powers))
    smooth = (original / waves - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    factors = torch.where(waves > original / low, factor, between)
    return torch.where(waves < original / high, 1.0, factors).to(torch.float32)


def longrope_keys(rope: Rope, longest: int) -> Values:
    """The metadata of a model whose short and long texts have factors of their own.

    Source: LongRoPE, arXiv 2402.13753; the attention's scale as Phi-3 has it.
    """
    original = int(rope.values["original_max_position_embeddings"])
    scale = float(rope.values.get("factor") or longest / original)
    attention = math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0
    own = rope.values.get("attention_factor")
    return {"rope.scaling.attn_factor": attention if own is None else float(own)}


def longrope_factors(rope: Rope, turned: int) -> dict[str, Any]:
    """The tensors of longrope: F32 [turned / 2] each."""
    import torch

    tensors = {}
    for name in ("long", "short"):
        factors = rope.values.get(f"{name}_factor") or []
        if len(factors) != turned // 2:
            raise UserError(
                f"config.json has {len(factors)} {name} factors of its positions, where the heads "
                f"have {turned // 2}"
            )
        tensors[f"rope_factors_{name}.weight"] = torch.tensor(factors, dtype=torch.float32)
    return tensors


def _original_length(config: Values) -> int | None:
    return config.get("original_max_position_embeddings", config.get("max_position_embeddings"))


def _refuse_own_yarn(values: Values) -> None:
    """llama.cpp derives the attention's scale from the factor alone."""
    usual = 0.1 * math.log(float(values["factor"])) + 1.0
    own = values.get("attention_factor")
    if values.get("mscale") or values.get("mscale_all_dim") or (own and abs(own - usual) > 1e-4):
        raise UserError("config.json has a yarn attention scale of its own, which llama.cpp lacks")
