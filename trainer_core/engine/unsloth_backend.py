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
from trainer_core.engine.lora import lora_arguments, mend_quantization


def load(folder: Path, config: RunConfig, dtype: Any) -> Any:
    """The base model with a fresh adapter on it; or the base alone, all of it to be trained."""
    full = config.training.method == "full"
    # The tokenizer that comes along is dropped: Unsloth patches templates and pad tokens.
    model, _ = FastLanguageModel.from_pretrained(
        str(folder),
        max_seq_length=config.model.max_length,
        dtype=dtype,
        load_in_4bit=config.model.quantization == "4bit",
        load_in_8bit=config.model.quantization == "8bit",
        full_finetuning=full,
        trust_remote_code=config.model.trust_remote_code,
        use_gradient_checkpointing=_checkpointing(config),
    )
    if full:
        return model
    model = FastLanguageModel.get_peft_model(
        model,
        **lora_arguments(config.lora),
        use_gradient_checkpointing=_checkpointing(config),
        random_state=config.training.seed,
    )
    mend_quantization(model, config.lora, str(folder))
    return model


@contextmanager
def answering(model: Any, config: RunConfig) -> Iterator[None]:
    """The model ready to generate, and back in training afterwards."""
    FastLanguageModel.for_inference(model)
    try:
        yield
    finally:
        FastLanguageModel.for_training(model, use_gradient_checkpointing=_checkpointing(config))


def _checkpointing(config: RunConfig) -> bool | str:
    return {"off": False, "on": True}.get(config.training.gradient_checkpointing, "unsloth")
