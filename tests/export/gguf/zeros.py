"""Models that take no room: every weight is zero, made when asked for."""

from pathlib import Path
from typing import Any

import torch

from trainer_core.export.model import ExportModel
from trainer_core.export.weights import TensorFacts

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "hidden_size": 32, "intermediate_size": 32,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}  # fmt: skip


class Zeros:
    """The Weights of a small Llama, or of the tensors that are given."""

    def __init__(
        self, vocabulary: int, tensors: dict[str, tuple[int, ...]] | None = None, width: int = 32
    ) -> None:
        layer = "model.layers.0."
        square = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                  "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")  # fmt: skip
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, width)}
        shapes |= {f"{layer}{name}.weight": (width, width) for name in square}
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{layer}{name}.weight"] = (width,)
        shapes["model.norm.weight"] = (width,)
        self.tensors = {
            name: TensorFacts(shape, torch.bfloat16)
            for name, shape in (shapes | (tensors or {})).items()
        }

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        return torch.zeros((stop - start, *self.tensors[name].shape[1:]), dtype=torch.bfloat16)


def zeros(tokenizer: Path, vocabulary: int, **config: Any) -> ExportModel:
    """A Llama of zeros with the tokenizer in a folder."""
    return ExportModel(
        "zeros", Zeros(vocabulary), LLAMA | {"vocab_size": vocabulary} | config, tokenizer, None
    )
