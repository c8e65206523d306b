"""The models that are written as GGUF, and what llama.cpp wants to know of each.

What llama.cpp takes for granted in one of them (which layers have a window, how scores are scaled)
is compared with config.json, so that nothing is written that would speak differently.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trainer_core.errors import UserError
from trainer_core.export.gguf.expectations import (
    expect,
    expect_rope,
    expect_scores,
    expect_whole_heads,
    expect_windows,
    head_keys,
    head_size,
    plain_rope,
    window_note,
)
from trainer_core.export.gguf.rope import (
    Values,
    llama3_factors,
    longrope_factors,
    longrope_keys,
    rope_of,
    scaling_keys,
)
from trainer_core.text import one_line


@dataclass(frozen=True)
class Architecture:
    """One model's architecture. `name` is llama.cpp's; `keys` is its metadata without that prefix;
    `tensors` are those that come from config.json. `permuted`: the rows of q and k are reordered.
    `norm_shift` is added to norms. `tied`: the embeddings are the head too. `biases` are the
    projections that may have one. `notes` are for the user."""

    name: str
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    tied: bool
    keys: Values
    tensors: dict[str, Any] = field(default_factory=dict)
    permuted: bool = False
    norm_shift: float = 0.0
    biases: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def architecture_of(config: Values) -> Architecture:
    """What `config` (config.json) describes.

    Raises UserError for an architecture that is not supported, or a setting of a supported one
    that llama.cpp would silently leave out.
    """
    name = str((config.get("architectures") or [config.get("model_type")])[0])
    family = _FAMILIES.get(name)
    if family is None:
        supported = ", ".join(sorted(_FAMILIES))
        raise UserError(
            f"{one_line(name, limit=80)} cannot be written as GGUF",
            hint=f"Supported: {supported}. Export it merged, and convert it with llama.cpp.",
        )
    flat = {**config, **(config.get("text_config") or {})}
    try:
        return family(flat)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"config.json cannot be used: {error!r} of a {name}") from None
    except UserError as error:
        raise UserError(f"{name}: {error.message}", hint=error.hint) from None


def _llama(config: Values) -> Architecture:
    rope = plain_rope(config, {"default", "linear", "llama3", "yarn"})
    expect(config, "hidden_act", {"silu"})
    size = head_size(config)
    tensors = {}
    if rope.kind == "llama3":
        tensors["rope_freqs.weight"] = llama3_factors(rope, size)
    return _architecture(
        "llama",
        config,
        {
            **head_keys(config),
            **scaling_keys(rope),
            "rope.freq_base": rope.theta,
            "rope.dimension_count": size,
            "vocab_size": int(config["vocab_size"]),
        },
        tensors=tensors,
        permuted=True,
        biases=frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj",
                          "down_proj"}),
        notes=window_note(config),
    )  # fmt: skip


def _qwen2(config: Values) -> Architecture:
    rope = plain_rope(config, {"default", "linear", "yarn"})
    expect(config, "hidden_act", {"silu"})
    expect_whole_heads(config)
    return _architecture(
        "qwen2",
        config,
        {**head_keys(config), **scaling_keys(rope), "rope.freq_base": rope.theta},
        biases=frozenset({"q_proj", "k_proj", "v_proj"}),
        notes=window_note(config, bool(config.get("use_sliding_window"))),
    )


def _qwen3(config: Values) -> Architecture:
    rope = plain_rope(config, {"default", "linear", "yarn"})
    expect(config, "hidden_act", {"silu"})
    return _architecture(
        "qwen3",
        config,
        {
            **head_keys({"head_dim": 128} | config),
            **scaling_keys(rope),
            "rope.freq_base": rope.theta,
        },
        notes=window_note(config, bool(config.get("use_sliding_window"))),
    )


def _gemma2(config: Values) -> Architecture:
    rope = plain_rope(config, {"default"})
    if rope.theta != 10000:
        raise UserError(f"its rope_theta is {rope.theta:g}; llama.cpp takes it to be 10000")
    expect(config, "hidden_activation", {"gelu_pytorch_tanh"})
    expect_scores(config, widest=46)
    expect_windows(config, every=2)
    return _architecture(
        "gemma2",
        config,
        {
            **head_keys(config),
            "attn_logit_softcapping": float(config["attn_logit_softcapping"]),
            "final_logit_softcapping": float(config["final_logit_softcapping"]),
            "attention.sliding_window": int(config["sliding_window"]),
        },
        norm_shift=1.0,
    )


def _gemma3(config: Values) -> Architecture:
    # What config.json of a larger Gemma 3 leaves out, for transformers has it as a default.
    config = {
        "max_position_embeddings": 131072,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "rms_norm_eps": 1e-6,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "sliding_window_pattern": 6,
    } | config
    rope = plain_rope(config, {"default", "linear"}, theta=1_000_000.0)
    expect(config, "hidden_activation", {"gelu_pytorch_tanh"})
    expect(config, "attn_logit_softcapping", {None})
    expect(config, "use_bidirectional_attention", {None, False})
    expect_scores(config, widest=62)
    expect_windows(config, every=6)
    keys = {
        **head_keys(config),
        **scaling_keys(rope),
        "rope.freq_base": rope.theta,
        "rope.freq_base_swa": 10000.0 if rope.sliding_theta is None else rope.sliding_theta,
        "attention.sliding_window": int(config["sliding_window"]),
    }
    if config.get("final_logit_softcapping"):
        keys["final_logit_softcapping"] = float(config["final_logit_softcapping"])
    notes = (
        ("its images are left out: this is the text model",) if "vision_config" in config else ()
    )
    return _architecture("gemma3", config, keys, norm_shift=1.0, notes=notes)


def _phi3(config: Values) -> Architecture:
    rope = rope_of(config)
    expect_rope(rope, {"default", "longrope"})
    expect(config, "hidden_act", {"silu"})
    expect_whole_heads(config)
    turned = int(rope.part * config["hidden_size"]) // config["num_attention_heads"]
    window = int(config.get("sliding_window") or 0)
    keys = {
        "rope.dimension_count": turned,
        "rope.freq_base": rope.theta,
        "rope.scaling.original_context_length": int(
            rope.values["original_max_position_embeddings"]
        ),
        "attention.sliding_window": window,
    }
    tensors, notes = {}, window_note(config, window > 0)
    if rope.kind == "longrope":
        keys |= longrope_keys(rope, int(config["max_position_embeddings"]))
        tensors = longrope_factors(rope, turned)
        original = keys["rope.scaling.original_context_length"]
        notes += (
            f"with a context of more than {original} tokens llama.cpp takes even short texts for "
            "long ones: start it with less where that is enough",
        )
    return _architecture("phi3", config, keys, tensors=tensors, notes=notes)


_FAMILIES: dict[str, Callable[[Values], Architecture]] = {
    "LlamaForCausalLM": _llama,
    "MistralForCausalLM": _llama,
    "Qwen2ForCausalLM": _qwen2,
    "Qwen3ForCausalLM": _qwen3,
    "Gemma2ForCausalLM": _gemma2,
    "Gemma3ForCausalLM": _gemma3,
    "Gemma3ForConditionalGeneration": _gemma3,
    "Phi3ForCausalLM": _phi3,
}


def _architecture(
    name: str,
    config: Values,
    keys: Values,
    *,
    tensors: dict[str, Any] | None = None,
    permuted: bool = False,
    norm_shift: float = 0.0,
    biases: frozenset[str] = frozenset(),
    notes: tuple[str, ...] = (),
) -> Architecture:
    for key in ("num_local_experts", "num_experts", "n_routed_experts"):
        if config.get(key):
            raise UserError("it is a mixture of experts, which is not supported")
    heads = int(config["num_attention_heads"])
    kv_heads = int(config.get("num_key_value_heads") or heads)
    tied = bool(config.get("tie_word_embeddings", norm_shift > 0))
    if norm_shift and not tied:
        raise UserError("its head is not its embeddings; llama.cpp takes them to be the same")
    common = {
        "block_count": int(config["num_hidden_layers"]),
        "context_length": int(config["max_position_embeddings"]),
        "embedding_length": int(config["hidden_size"]),
        "feed_forward_length": int(config["intermediate_size"]),
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
    }
    return Architecture(
        name=name,
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size(config),
        tied=tied,
        keys=common | keys,
        tensors=tensors or {},
        permuted=permuted,
        norm_shift=norm_shift,
        biases=biases,
        notes=notes,
    )
