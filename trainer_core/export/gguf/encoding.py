"""Rows of numbers in the types of GGUF."""

import math

import gguf
import numpy as np
import numpy.typing as npt
import torch
from gguf import GGMLQuantizationType as Type

from trainer_core.config.export_section import GgufType

Bytes = npt.NDArray[np.uint8]

# What general.file_type says: most of the file is in this type.
FILE_TYPES: dict[str, int] = {
    "f32": 0, "f16": 1, "bf16": 32, "q8_0": 7, "q4_0": 2, "q4_1": 3, "q5_0": 8, "q5_1": 9,
    "tq1_0": 36, "tq2_0": 37, "mxfp4": 38,
}  # fmt: skip
# The few bits of these are too few for the tensors that read and write tokens.
_TOKEN_TYPES = {"tq1_0": Type.F16, "tq2_0": Type.F16} | dict.fromkeys(
    ("q4_0", "q4_1", "q5_0", "q5_1", "mxfp4"), Type.Q8_0
)
_TORCH = {Type.F32: torch.float32, Type.F16: torch.float16, Type.BF16: torch.bfloat16}


def type_of(name: str, shape: tuple[int, ...], kind: GgufType, *, head: bool) -> Type:
    """The type that a tensor is written in: F32 for norms, biases and other single rows; F16 where
    its rows cannot be cut into blocks. `head` is the tensor that tokens are chosen with; ternary
    types keep the embeddings apart as well, as llama.cpp does."""
    if len(shape) < 2 or name.endswith("_norm.weight"):
        return Type.F32
    wanted = Type[kind.upper()]
    if head or (name == "token_embd.weight" and kind in ("tq1_0", "tq2_0")):
        wanted = _TOKEN_TYPES.get(kind, wanted)
    block = gguf.GGML_QUANT_SIZES[wanted][0]
    return wanted if shape[-1] % block == 0 else Type.F16


def byte_size(shape: tuple[int, ...], kind: Type) -> int:
    """Bytes of a tensor in a type."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    return math.prod(shape) // int(block) * int(size)


def encode(rows: torch.Tensor, kind: Type) -> Bytes:
    """The bytes of `rows`, [..., row], in a type. Rounds to the nearest, halves to even."""
    if kind in _TORCH:
        if kind == Type.F16 and rows.dtype == torch.bfloat16:
            rows = rows.to(torch.float32)  # exact, and torch is 2.5 times as fast in two steps
        flat = rows.to(_TORCH[kind]).contiguous().reshape(-1)
        return np.asarray(flat.view(torch.uint8).numpy())
    quantized = gguf.quants.quantize(rows.to(torch.float32).numpy(), kind)
    return np.asarray(quantized).reshape(-1).view(np.uint8)
