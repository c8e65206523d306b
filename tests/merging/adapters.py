"""Adapters as PEFT saves them, with numbers drawn by a seed."""

import math

import torch
from hypothesis import strategies as st

from trainer_core.merging.state import State

PLACE = "base_model.model.model"
# Names and [out, in]; the embedding's A is [rank, tokens].
SHAPES = {
    f"{PLACE}.layers.0.self_attn.q_proj": (12, 10),
    f"{PLACE}.layers.0.mlp.down_proj": (7, 16),
    f"{PLACE}.layers.1.self_attn.q_proj": (12, 10),
    f"{PLACE}.embed_tokens": (9, 20),
}
SAVED_WHOLE = "base_model.model.lm_head.weight"
SEEDS = st.integers(0, 2**31)
RANKS = st.integers(1, 7)
NUMBERS = st.integers(2, 9)


def keys(module: str) -> tuple[str, str]:
    """The keys of A and of B."""
    if module.endswith("embed_tokens"):
        return f"{module}.lora_embedding_A", f"{module}.lora_embedding_B"
    return f"{module}.lora_A.weight", f"{module}.lora_B.weight"


def adapter(
    seed: int, rank: int = 4, *, dtype: torch.dtype = torch.float32, span: int | None = None
) -> State:
    """An adapter for SHAPES, and one module saved whole. `span`: how many rows of A are
    independent, of all if not given."""
    draw = torch.Generator().manual_seed(seed)
    state = {SAVED_WHOLE: torch.randn(3, 5, generator=draw)}
    for module, (out, width) in SHAPES.items():
        key_a, key_b = keys(module)
        a = torch.randn(rank, width, generator=draw)
        if span is not None:
            a = torch.randn(rank, span, generator=draw) @ a[:span]
        state[key_a] = a / math.sqrt(width)
        state[key_b] = 0.1 * torch.randn(out, rank, generator=draw)
    return {key: tensor.to(dtype) for key, tensor in state.items()}


def product(state: State, module: str) -> torch.Tensor:
    """B A, [out, in], in float64."""
    key_a, key_b = keys(module)
    return state[key_b].double() @ state[key_a].double()
