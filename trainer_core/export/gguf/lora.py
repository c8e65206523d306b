"""An adapter as GGUF: what llama.cpp adds to a base that it runs."""

from pathlib import Path
from typing import Any

import gguf
import torch
from gguf import GGMLQuantizationType as Type

from trainer_core.config.export_section import GgufType
from trainer_core.errors import UserError
from trainer_core.export.adapter import Adapter, LoraPair
from trainer_core.export.gguf.architectures import Architecture, architecture_of
from trainer_core.export.gguf.encoding import FILE_TYPES
from trainer_core.export.gguf.stream import write_tensors
from trainer_core.export.gguf.tensors import (
    EMBEDDINGS,
    HEAD,
    Written,
    gguf_name,
    is_permuted,
    own_name,
    permuted,
)
from trainer_core.export.gguf.values import add_values
from trainer_core.text import one_line

_MERGE = "Take the format gguf or merged, where the adapter is part of the weights."


def require_plain_lora(adapter: Adapter) -> None:
    """Raise UserError for what llama.cpp cannot add to a base: DoRA, whole tensors, embeddings."""
    if adapter.replaced:
        name = one_line(next(iter(adapter.replaced)), limit=100)
        raise UserError(
            f"the adapter has whole tensors ({name}), which a GGUF adapter cannot hold", hint=_MERGE
        )
    if any(pair.magnitude is not None for pair in adapter.pairs.values()):
        raise UserError("the adapter is a DoRA, which llama.cpp does not know", hint=_MERGE)
    if any(own_name(name) == EMBEDDINGS for name in adapter.pairs):
        raise UserError(
            "the adapter changes the embeddings; llama.cpp would change the head with them",
            hint=_MERGE,
        )
    if not adapter.pairs:
        raise UserError(f"the adapter in {adapter.folder} is empty")


def write_lora(
    adapter: Adapter, config: dict[str, Any], target: Path, kind: GgufType = "f16"
) -> list[str]:
    """Write `adapter` for a base with `config` (its config.json), in f32, f16 or bf16, and give
    notes for the user. Raises UserError for what llama.cpp cannot do, before `target` is touched.

    llama.cpp multiplies by alpha / rank. One alpha serves the whole file, so it is the one that
    most scales need as they are, and the others go into B.
    """
    architecture = architecture_of(config)
    require_plain_lora(adapter)
    alphas = [pair.scale * pair.rank for pair in adapter.pairs.values()]
    alpha = max(alphas, key=alphas.count)
    tensors = [
        tensor
        for name, pair in adapter.pairs.items()
        for tensor in _pair(architecture, own_name(name), pair, alpha, Type[kind.upper()])
    ]
    writer = gguf.GGUFWriter(None, architecture.name)
    add_values(
        writer,
        {
            "general.type": "adapter",
            "general.name": one_line(adapter.base, limit=200) or "adapter",
            "general.file_type": FILE_TYPES[kind],
            "general.quantization_version": gguf.GGML_QUANT_VERSION,
            "adapter.type": "lora",
            "adapter.lora.alpha": float(alpha),
        },
    )
    write_tensors(writer, tensors, target, lambda _: None)
    return list(architecture.notes)


def _pair(
    architecture: Architecture, name: str, pair: LoraPair, alpha: float, kind: Type
) -> list[Written]:
    if name == HEAD and architecture.tied:
        raise UserError("the adapter changes a head that the base does not have apart", hint=_MERGE)
    place = gguf_name(architecture, name)
    b = pair.b * (pair.scale * pair.rank / alpha)
    if is_permuted(architecture, name):
        b = permuted(b, len(b) // architecture.head_size)
    return [_written(f"{place}.lora_a", pair.a, kind), _written(f"{place}.lora_b", b, kind)]


def _written(name: str, data: torch.Tensor, kind: Type) -> Written:
    return Written(name, tuple(data.shape), kind, lambda start, stop: data[start:stop])
