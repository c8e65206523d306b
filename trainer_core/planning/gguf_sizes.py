"""How many bytes a model takes as GGUF, by the type of its file, from its sizes alone.

How many bits a weight takes is in ggml's block layouts, scales included. Which matrices of a
K-quant get more bits than the file's name says is as llama.cpp mixes them (llama-quant.cpp, for
models with one expert); its rules for single layers are taken as shares of all layers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from trainer_core.config.export_section import WRITTEN_HERE, GgufType
from trainer_core.planning.shape import ModelShape

# The kinds of models (model_type) that our converter knows.
CONVERTED: frozenset[str] = frozenset(
    {"llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "gemma3_text", "phi3"}
)
# Bytes of a block and numbers in it.
_BLOCKS = {
    "f32": (4, 1),
    "f16": (2, 1),
    "bf16": (2, 1),
    "q8_0": (34, 32),
    "q4_0": (18, 32),
    "q4_1": (20, 32),
    "q5_0": (22, 32),
    "q5_1": (24, 32),
    "mxfp4": (17, 32),
    "tq1_0": (54, 256),
    "tq2_0": (66, 256),
    "q2_k": (84, 256),
    "q3_k": (110, 256),
    "q4_k": (144, 256),
    "q5_k": (176, 256),
    "q6_k": (210, 256),
}
# For rows that a type's blocks do not divide. The last resort is 16 bits.
_INSTEAD = {
    "q2_k": "q4_0",
    "q3_k": "q4_0",
    "q4_k": "q5_0",
    "q5_k": "q5_1",
    "q6_k": "q8_0",
}
# The layers in which a mix with more bits has them: the first and the last eighth, and a third of
# those between.
_SOME = "some"
# Other than the file's own type: (type, where). Kinds of matrices: v, down, o, and qkv, where
# query, key and value are one.
_MIXES: dict[str, dict[str, tuple[str, str]]] = {
    "q2_k": {"v": ("q3_k", ""), "down": ("q3_k", ""), "o": ("q3_k", "")},
    "q3_k_m": {"v": ("q4_k", ""), "down": ("q4_k", ""), "o": ("q4_k", ""), "qkv": ("q4_k", "")},
    "q3_k_l": {"v": ("q5_k", ""), "down": ("q5_k", ""), "o": ("q5_k", ""), "qkv": ("q4_k", "")},
    "q4_k_s": {"v": ("q5_k", "first"), "down": ("q5_k", "first")},
    "q4_k_m": {"v": ("q6_k", _SOME), "down": ("q6_k", _SOME), "qkv": ("q5_k", "")},
    "q5_k_m": {"v": ("q6_k", _SOME), "down": ("q6_k", _SOME), "qkv": ("q6_k", "")},
}
# What the tensor that tokens are chosen with is in (the embedding, where that is the same): of a
# K-quant, and where our own converter keeps it apart.
_OUTPUT = "q6_k"
_OWN_OUTPUT = {"tq1_0": "f16", "tq2_0": "f16"} | dict.fromkeys(
    ("q4_0", "q4_1", "q5_0", "q5_1", "mxfp4"), "q8_0"
)
# The vocabulary in the file's head: a token's text, its score and kind, and about one merge. Four
# vocabularies of 1,400 to 151,000 tokens took 39 to 61.
_BYTES_A_TOKEN = 50


@dataclass(frozen=True)
class _Matrices:
    kind: str
    row: int
    rows: int
    count: float


def gguf_bytes(shape: ModelShape, kind: GgufType) -> int:
    """Bytes of the whole file, within a few percent; a vision tower's weights are not in it."""
    total = shape.small_parameters * 4.0 + shape.vocab * _BYTES_A_TOKEN
    for matrices in _matrices(shape):
        for name, share in _types(shape, matrices.kind, kind):
            count = matrices.count * share
            total += count * matrices.rows * _row_bytes(matrices.row, name)
    return round(total)


def _matrices(shape: ModelShape) -> Iterator[_Matrices]:
    yield _Matrices("embedding", shape.hidden, shape.vocab, 1)
    if not shape.tied:
        yield _Matrices("output", shape.hidden, shape.vocab, 1)
    for name, (inside, outside, count) in shape.modules().items():
        kind = name.removesuffix("_proj")
        yield _Matrices(kind, inside, outside, count * shape.layers)


def _types(shape: ModelShape, matrices: str, kind: GgufType) -> list[tuple[str, float]]:
    """In which types the matrices of a kind are, and which share of them in each."""
    chooses = matrices == "output" or (matrices == "embedding" and shape.tied)
    if kind in WRITTEN_HERE:
        ternary = kind in ("tq1_0", "tq2_0") and matrices == "embedding"
        return [(_OWN_OUTPUT.get(kind, kind) if chooses or ternary else kind, 1.0)]
    own = kind[:4]
    if chooses:
        return [(_OUTPUT, 1.0)]
    if kind == "q2_k" and matrices == "v" and shape.heads >= 4 * shape.kv_heads:
        return [("q4_k", 1.0)]
    other, where = _MIXES.get(kind, {}).get(matrices, (own, ""))
    share = {"": 1.0, "first": 1 / 8, _SOME: _some(shape.layers)}[where]
    return [(other, share), (own, 1 - share)]


def _some(layers: int) -> float:
    first, last = layers // 8, 7 * layers // 8
    found = [n for n in range(layers) if n < first or n >= last or (n - first) % 3 == 2]
    return len(found) / layers


def _row_bytes(row: int, name: str) -> float:
    size, numbers = _BLOCKS[name]
    if row % numbers == 0:
        return row / numbers * size
    return _row_bytes(row, _INSTEAD.get(name, "f16"))
