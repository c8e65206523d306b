"""What a forward and a backward pass hold at their peak, in bytes.

Counted from the tensors that autograd keeps for the backward pass of transformers' decoder layers
with PEFT's adapters; `benchmarks/memory.py --trace` counts them again in the libraries themselves.
"""

from dataclasses import dataclass

from trainer_core.planning.memory_settings import MemorySettings
from trainer_core.planning.shape import ModelShape

# Bytes for each token and each entry of the vocabulary. Stock: log-softmax, its gradient and the
# gradient of the logits are there at once, in float32. Shifted: and a copy of the logits. Fused:
# 16-bit logits and their gradient.
LOGIT_BYTES = {"stock": 12, "shifted": 16, "fused": 4}
# TRL's chunks are of so many trained tokens; beside what stock takes, the logits themselves.
TRL_CHUNK = 256
TRL_LOGIT_BYTES = 16
# Unsloth's kernel holds float32 logits of so many numbers, in a power of two of tokens between
# these, or half of what is free (unsloth_zoo.fused_losses.fused_linear, 2026.10).
CHUNK_NUMBERS = 512 * 151936
CHUNK_TOKENS = 512, 4096
CHUNKED_LOGIT_BYTES = 4
# On a CPU a chunk has 16 million logits, which are there twice in float32 (measured).
CPU_CHUNK = 16 << 20
CPU_CHUNK_BYTES = 8
# Step-by-step attention at its peak, for each head and each pair of tokens: the weights and what
# their gradient takes, whatever the format.
EAGER_BYTES = 12


@dataclass(frozen=True)
class Pass:
    """A forward and backward pass at its peak, in bytes. `logits` is 0 where the peak lies in the
    backward pass of a layer: by then the logits are gone."""

    activations: int
    logits: int


def pass_memory(shape: ModelShape, settings: MemorySettings, held: int) -> Pass:
    """The peak of a pass over one micro-batch. `held` is what is taken before it, the
    CUDA context included, in bytes."""
    kept, layer = _kept(shape, settings), _work(shape, settings)
    if settings.checkpointing == "off":
        stored = shape.layers * kept
    else:
        stored = shape.layers * settings.rows * shape.hidden * settings.weight_bytes
        layer += kept  # computed again for its backward pass
    if settings.checkpointing == "unsloth" and settings.device == "cuda":
        stored = 0  # moved to RAM
    logits = _logits(shape, settings, held + stored)
    if settings.loss == "fused":  # the sum is what was published, not the larger
        return Pass(stored + layer, logits)
    return Pass(stored + layer, 0) if layer >= logits else Pass(stored, logits)


def _kept(shape: ModelShape, settings: MemorySettings) -> int:
    """What one layer keeps for the backward pass."""
    size, hidden, query = settings.weight_bytes, shape.hidden, shape.query_width
    both, middle = shape.key_value_width, shape.mlp_width
    if settings.unsloth_layers:
        # The inputs of both norms and of both blocks; queries, keys, values and the attention's
        # output; gate and up.
        kept = 4 * hidden + 2 * query + both + 2 * middle + shape.head_norm_width
        return settings.rows * size * kept
    if settings.masked or settings.attention == "eager" or _step_by_step(shape, settings):
        both = max(both, 2 * query)  # keys and values are repeated for every head
    # Norms keep their input, in float32. Gate, its activation, and up.
    norms, heads = shape.norms * hidden, shape.head_norm_width
    token = 4 * (norms + heads) + settings.computed_bytes * (2 * query + both) + 3 * size * middle
    if settings.method == "full":
        # What the norms multiply with their weights and what matrices make of it; the MLP's
        # product.
        token += size * (2 * norms + heads + middle)
    else:
        token += _adapter_inputs(shape, settings)
    return settings.rows * token + _kept_of_attention(shape, settings)


def _adapter_inputs(shape: ModelShape, settings: MemorySettings) -> int:
    """What the adapters of a layer keep of one token: their inputs, and `rank` numbers each."""
    modules = shape.modules()
    if settings.targets != "all-linear":
        modules = {name: modules[name] for name in settings.targets if name in modules}
    inputs = {name: inside for name, (inside, _, _) in modules.items()}
    if settings.adapters_cast:
        # Each adapter makes a copy of its own.
        copy = 2 if settings.device == "cuda" else 4
        copies = copy * (sum(inputs.values()) + settings.rank * len(inputs))
        if settings.quantization == "8bit":  # and so does each matrix (bitsandbytes, LLM.int8)
            copies += 2 * sum(inside for inside, _, _ in shape.modules().values())
        return copies
    # What several have in common is kept once; the attention's output is kept already.
    shared = {_PLACES[name]: inside for name, inside in inputs.items() if name != "o_proj"}
    return 4 * (sum(shared.values()) + settings.rank * len(inputs))


# Which linear layers read the same input.
_PLACES = dict.fromkeys(("q_proj", "k_proj", "v_proj", "qkv_proj"), "attention")
_PLACES |= dict.fromkeys(("gate_proj", "up_proj", "gate_up_proj"), "mlp")
_PLACES |= {"down_proj": "product"}


def _kept_of_attention(shape: ModelShape, settings: MemorySettings) -> int:
    """What grows with the square of the length."""
    squares = settings.batch_size * settings.tokens**2
    if settings.attention == "eager":
        return squares * shape.heads * _eager_kept(settings)
    if _step_by_step(shape, settings):
        return squares * shape.heads * 4
    return squares * settings.weight_bytes if settings.masked else 0  # each layer's own mask


def _step_by_step(shape: ModelShape, settings: MemorySettings) -> bool:
    """Whether SDPA has no fast kernel: where heads share keys and values, and no mask has them
    repeated, PyTorch's one kernel for this computes in 16 bits only."""
    shared = shape.kv_heads < shape.heads and not settings.masked
    return shared and settings.device == "cuda" and settings.computed_bytes == 4


def _eager_kept(settings: MemorySettings) -> int:
    """Attention weights in float32, and in the model's format."""
    return 4 if settings.weight_bytes == 4 else 6


def _work(shape: ModelShape, settings: MemorySettings) -> int:
    """What is there for a moment only, at the worst one: in the MLP of a layer."""
    hidden, middle, size = shape.hidden, shape.mlp_width, settings.weight_bytes
    if settings.unsloth_layers:
        # With what is kept, 2 (13 h + 3 q + kv + 3 m) bytes a token. Unsloth's table of how long a
        # context fits asks for just this.
        work = settings.rows * size * (9 * hidden + shape.query_width + middle)
    else:
        # Two gradients as wide as the MLP: in the adapters' format where there are adapters.
        wide = 4 if settings.method == "lora" else size
        work = settings.rows * (2 * wide * middle + size * hidden)
        if settings.attention == "eager":
            squares = settings.batch_size * settings.tokens**2 * shape.heads
            work = max(work, squares * (EAGER_BYTES - _eager_kept(settings)))
    # A quantised matrix is unpacked for each product.
    return work + (settings.weight_bytes * shape.largest_matrix if settings.quantised else 0)


def _logits(shape: ModelShape, settings: MemorySettings, held: int) -> int:
    """What the loss holds. `held` is what is there besides, in bytes."""
    numbers = settings.rows * shape.vocab
    # The last hidden states: the norm's input in float32, and what comes of it.
    last = settings.rows * shape.hidden * (4 + settings.weight_bytes)
    if settings.loss == "trl":
        chunk = min(settings.rows, TRL_CHUNK) * shape.vocab * TRL_LOGIT_BYTES
        return last + chunk + _copied_head(shape, settings)
    if settings.loss == "chunked":
        if settings.device == "cpu":
            return CPU_CHUNK_BYTES * min(numbers, CPU_CHUNK)
        free = max(0, settings.memory - held)
        return min(CHUNKED_LOGIT_BYTES * min(numbers, _chunk_numbers(shape)), free // 2)
    return numbers * LOGIT_BYTES[settings.loss] + (0 if settings.loss == "fused" else last)


def _copied_head(shape: ModelShape, settings: MemorySettings) -> int:
    """The head's weights in the format that is computed in, where that is another."""
    size = settings.computed_bytes
    return size * shape.vocab * shape.hidden if size < settings.weight_bytes else 0


def _chunk_numbers(shape: ModelShape) -> int:
    """How many logits Unsloth's kernel holds at once."""
    fewest, most = CHUNK_TOKENS
    tokens = 1 << max(0, (CHUNK_NUMBERS // shape.vocab).bit_length() - 1)
    return shape.vocab * min(max(tokens, fewest), most)
