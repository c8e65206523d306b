"""How much memory a run will take, from the sizes of the model and the settings alone.

Quick enough to run at every key press. Weights, adapter, gradients and optimizer are counted; what
a pass holds is in activations.py. benchmarks/memory.py compares with published tables and with real
runs.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from trainer_core.planning.activations import pass_memory
from trainer_core.planning.memory_settings import MemorySettings
from trainer_core.planning.shape import ModelShape

__all__ = [
    "HEADROOM",
    "MEASURED_HEADROOM",
    "Estimate",
    "MemorySettings",
    "estimate",
    "largest_batch",
    "longest_sequence",
]

# The share of a device's memory that is left free: by an estimate alone, and where a run like it
# was measured on the same device.
HEADROOM = 0.08
MEASURED_HEADROOM = 0.05

# Bytes of a quantised weight. NF4 with double quantization: 4 bits, an 8-bit scale for 64 weights,
# and a 32-bit scale for 256 of those. 8 bits: the scales of whole rows are next to nothing.
QUANTISED = {"4bit": 0.5 + 1 / 64 + 4 / (64 * 256), "8bit": 1.0}

# What an optimizer keeps of a trained weight: numbers in the weight's own format, and bytes
# besides. 8-bit states have a 32-bit scale for 256 numbers. Of Adafactor see _state_besides.
OPTIMIZERS = {
    "adamw": (2.0, 0.0),
    "adamw_8bit": (0.0, 2 + 2 * 4 / 256),
    "paged_adamw": (0.0, 8.0),
    "paged_adamw_8bit": (0.0, 2 + 2 * 4 / 256),
    "adafactor": (0.0, 0.0),
    "lion": (0.0, 4.0),
    "lion_8bit": (0.0, 1 + 4 / 256),
    "sgd": (0.0, 0.0),
}

# What 8-bit optimizers keep of a number of the input embedding, in bytes.
EMBEDDING_STATE = {"adamw_8bit": 8, "lion_8bit": 4}

# What CUDA and its libraries take before the first tensor. Cards and drivers differ: 141 MiB were
# published of one, an H200 takes 800; so this is for those that were not measured.
CUDA_CONTEXT = 500 << 20
# What the allocator holds and cannot use, as a share of what tensors take: what the published
# tables ask for, once the tensors are counted.
CUDA_WASTE = 0.035
# The process itself on a CPU (Linux, torch 2.13), in resident memory: with torch, transformers,
# peft and trl imported 523 MB, with Unsloth 531 MB; a training process of ours took 603 MB with a
# model of 2 million parameters, for which the rest of the estimate is 16 MB. This holds where glibc
# gives freed memory back (MALLOC_MMAP_THRESHOLD_ set); by itself it keeps up to three times what a
# pass holds.
CPU_PROCESS = 580_000_000

# No search goes on beyond this.
_MOST = 1 << 31


@dataclass(frozen=True)
class Estimate:
    """What a run takes at its peak, in bytes, by what takes it.

    `activations` and `logits` are those of the worst moment, or what the optimizer's step takes
    where that is more. `context` is the CUDA context and what the allocator wastes; on a CPU the
    process itself. On a GPU all but `context` is what torch.cuda.max_memory_allocated counts.
    """

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    context: int

    @property
    def total(self) -> int:
        """The sum."""
        return sum(self.components().values())

    def components(self) -> dict[str, int]:
        """Bytes by name, in the order of the fields."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def scaled(self, factor: float) -> "Estimate":
        """Corrected by what was measured as a share of what was estimated."""
        return Estimate(**{name: round(size * factor) for name, size in self.components().items()})


def estimate(shape: ModelShape, settings: MemorySettings) -> Estimate:
    """The memory of a run on one device."""
    trained = settings.trained_parameters(shape)
    weights = _weights(shape, settings)
    adapter = trained * settings.trained_bytes if settings.method == "lora" else 0
    gradients = trained * settings.trained_bytes
    optimizer = int(trained * _optimizer_bytes(settings)) + _state_besides(shape, settings)
    held = weights + adapter + gradients + optimizer
    found = pass_memory(shape, settings, held + CUDA_CONTEXT)
    step = _step_bytes(shape, settings, trained)
    activations = max(found.activations, step - found.logits)
    if settings.device == "cuda":
        context = CUDA_CONTEXT + int(CUDA_WASTE * (held + activations + found.logits))
    else:
        context = CPU_PROCESS
    return Estimate(weights, adapter, gradients, optimizer, activations, found.logits, context)


def largest_batch(shape: ModelShape, settings: MemorySettings, budget_bytes: int) -> int:
    """The largest micro-batch that takes no more than `budget_bytes`; 0 if one row takes more."""
    settings = replace(settings, memory=0)  # chunks of the loss shrink to what is free
    return _most(
        lambda size: estimate(shape, replace(settings, batch_size=size)).total <= budget_bytes
    )


def longest_sequence(shape: ModelShape, settings: MemorySettings, budget_bytes: int) -> int:
    """The most tokens in a row, `batch_size` rows at a time, that take no more than `budget_bytes`;
    0 if nothing does."""
    settings = replace(settings, memory=0)  # chunks of the loss shrink to what is free
    return _most(
        lambda tokens: estimate(shape, replace(settings, tokens=tokens)).total <= budget_bytes
    )


def _weights(shape: ModelShape, settings: MemorySettings) -> int:
    if not settings.quantised:
        return shape.parameters * settings.weight_bytes
    others = shape.parameters - shape.linear_parameters
    linear = int(shape.linear_parameters * QUANTISED[settings.quantization])
    return linear + others * settings.weight_bytes


def _optimizer_bytes(settings: MemorySettings) -> float:
    """State of one trained weight."""
    if settings.optimizer.startswith("paged_") and settings.device == "cuda":
        return 0.0  # it moves to RAM when the GPU is full
    own, others = OPTIMIZERS.get(settings.optimizer, OPTIMIZERS["adamw"])
    return own * settings.trained_bytes + others


def _state_besides(shape: ModelShape, settings: MemorySettings) -> int:
    """State that does not grow with the trained weights: of Adafactor a row and a column of each
    matrix; and 8-bit optimizers keep that of embeddings in 32 bits (transformers' Trainer)."""
    full = settings.method == "full"
    embedding = shape.vocab * shape.hidden
    if settings.optimizer == "adafactor":
        ends = shape.lora_parameters(1, "all-linear" if full else settings.targets)
        return 4 * (ends + (shape.vocab + shape.hidden if full else 0))
    state = EMBEDDING_STATE.get(settings.optimizer, 0)
    return int(embedding * (state - OPTIMIZERS[settings.optimizer][1])) if full and state else 0


def _step_bytes(shape: ModelShape, settings: MemorySettings, trained: int) -> int:
    """What the optimizer's step holds for a moment, when activations are gone: Adafactor four
    copies of the largest matrix in float32; AdamW on a GPU a copy of all that is trained (it goes
    over all at once), on a CPU two of the largest matrix; bitsandbytes nothing."""
    largest = max(shape.vocab * shape.hidden, shape.largest_matrix)
    full = settings.method == "full"
    if settings.optimizer == "adafactor":
        return 16 * largest if full else 0
    if settings.device == "cuda":
        return trained * settings.trained_bytes if settings.optimizer == "adamw" else 0
    return 2 * largest * settings.trained_bytes if full else 0


def _most(fits: Callable[[int], bool]) -> int:
    """The largest number that fits, where all below it do."""
    above = 1
    while above < _MOST and fits(above):
        above *= 2
    fitting = above // 2  # 0 if not even 1 fits
    while above - fitting > 1:
        middle = (fitting + above) // 2
        if fits(middle):
            fitting = middle
        else:
            above = middle
    return fitting
