"""What an estimate of memory depends on, beside the model's sizes."""

from dataclasses import dataclass
from typing import Literal

from trainer_core.planning.shape import ModelShape, Targets

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class MemorySettings:
    """The settings of a run that its memory depends on.

    `batch_size` rows of `tokens` tokens (the longest example) make a micro-batch; `packed` says
    that a row holds several examples. `loss` says what is kept of the logits:

    - trl: TRL's, over some trained tokens at a time;
    - stock: transformers' own loss, over all logits in float32;
    - shifted: the same before 2025, which shifted the logits, a copy more, instead of the labels;
    - fused: Unsloth's in early 2024, 16-bit logits with their gradient;
    - chunked: Unsloth's now, a piece at a time.

    A fused or chunked loss also means Unsloth's layers on a GPU in 16 bits; in all other cases its
    layers keep what those of transformers do. `memory` is what the device has in bytes: Unsloth's
    chunks take half of what is free at most. With 0 the estimate is for the smallest chunks.
    `upcast` says that beside quantised layers all weights become float32, as in PEFT's
    prepare_model_for_kbit_training (the transformers backend; Unsloth does not).
    """

    method: Literal["lora", "full"] = "lora"
    rank: int = 16
    targets: Targets = "all-linear"
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    quantization: Literal["none", "4bit", "8bit"] = "none"
    optimizer: str = "adamw"
    batch_size: int = 1
    tokens: int = 2048
    checkpointing: Literal["off", "on", "unsloth"] = "off"
    loss: Literal["trl", "stock", "shifted", "fused", "chunked"] = "stock"
    attention: Literal["sdpa", "eager"] = "sdpa"
    device: Literal["cuda", "cpu"] = "cuda"
    packed: bool = False
    upcast: bool = True
    memory: int = 0

    @property
    def rows(self) -> int:
        """Tokens in a micro-batch, padding included."""
        return self.batch_size * self.tokens

    @property
    def quantised(self) -> bool:
        """Whether the linear layers are kept in 4 or 8 bits, which only adapters can train on."""
        return self.quantization != "none" and self.method == "lora"

    @property
    def masked(self) -> bool:
        """Whether attention takes a mask: rows are padded, or hold several examples. (A single
        example needs none.)"""
        return self.batch_size > 1 or self.packed

    @property
    def unsloth_layers(self) -> bool:
        """Whether layers keep only what Unsloth's kernels need."""
        return self.unsloth_loss and self.device == "cuda" and self.dtype != "float32"

    @property
    def unsloth_loss(self) -> bool:
        """Whether the loss is one of Unsloth's."""
        return self.loss in ("fused", "chunked")

    @property
    def weight_bytes(self) -> int:
        """Bytes of a weight that is not quantised, and of a number in the hidden states."""
        upcast = self.quantised and self.upcast and not self.unsloth_loss
        return 4 if upcast else BYTES[self.dtype]

    @property
    def computed_bytes(self) -> int:
        """Bytes of a number in what matrices are multiplied in: under autocast, on a GPU, not those
        of the weights."""
        return BYTES[self.dtype] if self.device == "cuda" else self.weight_bytes

    @property
    def adapters_cast(self) -> bool:
        """Whether adapters copy their inputs: on a GPU autocast makes them 16-bit, on a CPU PEFT
        makes 16-bit ones float32."""
        if self.device == "cuda":
            return self.dtype != "float32"
        return self.weight_bytes < 4

    @property
    def trained_bytes(self) -> int:
        """Bytes of a trained weight. PEFT and Unsloth keep adapters in float32 on a base of 16 bits
        or fewer; full fine-tuning trains the weights as they were loaded."""
        return BYTES[self.dtype] if self.method == "full" else 4

    def trained_parameters(self, shape: ModelShape) -> int:
        """How many weights are trained."""
        full = self.method == "full"
        return shape.parameters if full else shape.lora_parameters(self.rank, self.targets)
