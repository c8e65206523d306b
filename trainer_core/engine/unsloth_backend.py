"""Unsloth: the one file that knows it. Imported first in a training job, because it patches
torch, transformers, peft and trl as it loads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import unsloth  # noqa: F401 - before everything below
from unsloth import FastLanguageModel

from trainer_core.config.schema import RunConfig


def load(folder: Path, config: RunConfig, dtype: Any) -> Any:
    """The base model with a fresh adapter on it."""
    # The tokenizer that comes along is dropped: Unsloth patches templates and pad tokens.
    model, _ = FastLanguageModel.from_pretrained(
        str(folder),
        max_seq_length=config.model.max_length,
        dtype=dtype,
        load_in_4bit=False,
        trust_remote_code=False,
    )
    lora = config.lora
    targets = lora.targets
    return FastLanguageModel.get_peft_model(
        model,
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=_ALL_LINEAR if targets == "all-linear" else targets,
        bias="none",
        use_gradient_checkpointing=False,
        random_state=config.training.seed,
    )


@contextmanager
def answering(model: Any) -> Iterator[None]:
    """The model ready to generate, and back in training afterwards."""
    FastLanguageModel.for_inference(model)
    try:
        yield
    finally:
        FastLanguageModel.for_training(model, use_gradient_checkpointing=False)


# Unsloth takes no "all-linear"; these are the linear layers of the models it knows.
_ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
