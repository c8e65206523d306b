"""A tiny model of each architecture that is written as GGUF: a config of transformers, and weights
that are made from their names, so that they are the same wherever this runs."""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.export.gguf.tiny_tokenizers import byte_level, sentencepiece_like
from trainer_core.export.model import ExportModel
from trainer_core.export.weights import SafetensorsFolder

# Rows of 80 numbers cannot be cut into blocks of 32.
_SIZES = {
    "vocab_size": 480, "hidden_size": 64, "intermediate_size": 80, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
    "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
}  # fmt: skip


@dataclass(frozen=True)
class Tiny:
    """A model to make: its kind of tokenizer and what differs from the usual sizes. `pre` is what
    llama.cpp would call the tokenizer's way of splitting text."""

    config: str  # a class of transformers
    tokenizer: Callable[[Path, str], None]
    family: str
    values: dict[str, Any]
    dtype: torch.dtype = torch.float32
    pre: str = ""


_LLAMA3_ROPE = {
    "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
}  # fmt: skip
_YARN = {
    "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0,
    "original_max_position_embeddings": 128,
}  # fmt: skip
_GEMMA3_ROPE = {
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
}
_LONGROPE = {
    "rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 256,
    "long_factor": [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    "short_factor": [1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35],
}  # fmt: skip
_PARTIAL_LONGROPE = _LONGROPE | {
    "partial_rotary_factor": 0.75, "long_factor": _LONGROPE["long_factor"][:6],
    "short_factor": _LONGROPE["short_factor"][:6],
}  # fmt: skip

TINY = {
    "llama3": Tiny("LlamaConfig", byte_level, "llama3", {
        "rope_parameters": _LLAMA3_ROPE, "head_dim": 32, "tie_word_embeddings": True,
    }, dtype=torch.bfloat16, pre="llama-bpe"),
    "llama-biases": Tiny("LlamaConfig", sentencepiece_like, "llama", {
        "attention_bias": True, "mlp_bias": True, "num_key_value_heads": 4,
        "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0},
    }, dtype=torch.float16),
    "mistral": Tiny("MistralConfig", sentencepiece_like, "llama", {
        "sliding_window": None, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    }),
    "qwen2": Tiny("Qwen2Config", byte_level, "qwen2", {
        "rope_parameters": _YARN, "tie_word_embeddings": True,
    }, pre="qwen2"),
    "qwen3": Tiny("Qwen3Config", byte_level, "qwen2", {
        "head_dim": 32, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    }, dtype=torch.bfloat16, pre="qwen2"),
    "gemma2": Tiny("Gemma2Config", sentencepiece_like, "gemma", {
        "head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16,
        "num_hidden_layers": 4, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
    }),
    "gemma3": Tiny("Gemma3TextConfig", sentencepiece_like, "gemma", {
        "head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16,
        "num_hidden_layers": 7, "rope_parameters": _GEMMA3_ROPE,
    }, dtype=torch.bfloat16),
    "phi3": Tiny("Phi3Config", sentencepiece_like, "phi3", {
        "rope_parameters": _LONGROPE, "original_max_position_embeddings": 256,
        "sliding_window": None,
    }),
    "phi4": Tiny("Phi3Config", byte_level, "phi4", {
        "rope_parameters": _PARTIAL_LONGROPE, "original_max_position_embeddings": 256,
        "tie_word_embeddings": True, "sliding_window": None,
    }, dtype=torch.bfloat16, pre="dbrx"),
}  # fmt: skip


def make(name: str, folder: Path) -> Path:
    """Write the tiny model `name` to `folder`, as save_pretrained would."""
    import transformers
    from safetensors.torch import save_file

    tiny = TINY[name]
    folder.mkdir(parents=True, exist_ok=True)
    config = getattr(transformers, tiny.config)(**(_SIZES | tiny.values))
    config.dtype = tiny.dtype
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    shapes = {key: tensor.shape for key, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        del shapes["lm_head.weight"]
    weights = {key: _weight(key, shape, name).to(tiny.dtype) for key, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tiny.tokenizer(folder, tiny.family)
    return folder


def opened(folder: Path, template: str | None = None) -> ExportModel:
    """A model folder, ready for export."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return ExportModel(folder.name, SafetensorsFolder(folder), config, folder, template)


def _weight(key: str, shape: torch.Size, name: str) -> torch.Tensor:
    numbers = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    if "norm" in key:
        return torch.from_numpy(0.1 * numbers + (0.0 if name.startswith("gemma") else 1.0))
    return torch.from_numpy(numbers * (0.5 if "embed" in key else 0.15))
