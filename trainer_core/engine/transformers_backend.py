"""Plain transformers + PEFT, where Unsloth is not installed or came too late."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, set_seed

from trainer_core.config.schema import RunConfig


def load(folder: Path, config: RunConfig, dtype: Any) -> Any:
    """The base model with a fresh adapter on it."""
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=dtype, trust_remote_code=False, use_safetensors=True
    )
    model.config.use_cache = False
    set_seed(config.training.seed)
    lora = config.lora
    adapter = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        bias="none",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, adapter)


@contextmanager
def answering(model: Any) -> Iterator[None]:
    """The model ready to generate, and back in training afterwards."""
    model.eval()
    try:
        yield
    finally:
        model.train()
