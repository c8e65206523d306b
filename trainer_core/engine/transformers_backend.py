"""Plain transformers + PEFT, where Unsloth is not installed or came too late."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, set_seed

from trainer_core.config.model_section import ModelSection
from trainer_core.config.schema import RunConfig
from trainer_core.engine.lora import lora_arguments, mend_quantization


def load(folder: Path, config: RunConfig, dtype: torch.dtype) -> Any:
    """The base model with a fresh adapter on it; or the base alone, all of it to be trained."""
    model = load_whole(folder, config.model, dtype)
    model.config.use_cache = False
    set_seed(config.training.seed)
    if config.training.method == "full":
        return model
    if config.model.quantization != "none":
        # Checkpointing is switched on by the loop.
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    adapter = LoraConfig(**lora_arguments(config.lora), task_type="CAUSAL_LM")
    model = get_peft_model(model, adapter)
    mend_quantization(model, config.lora, str(folder))
    return model


def load_whole(folder: Path, wish: ModelSection, dtype: torch.dtype) -> Any:
    """The model in a folder, as `wish` says, with nothing on it. Raises what transformers raises
    for a model that it cannot load."""
    arguments: dict[str, Any] = {}
    if wish.attention is not None:
        arguments["attn_implementation"] = wish.attention
    stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if wish.quantization != "none" and "quantization_config" not in stored:
        arguments["quantization_config"] = quantized_loading(wish.quantization, dtype)
    if torch.cuda.is_available():
        # Straight to where it is trained: answers and checks come before the loop would move it.
        arguments["device_map"] = {"": torch.cuda.current_device()}
    return AutoModelForCausalLM.from_pretrained(
        str(folder),
        dtype=dtype,
        trust_remote_code=wish.trust_remote_code,
        use_safetensors=True,
        **arguments,
    )


def quantized_loading(bits: str, dtype: torch.dtype) -> BitsAndBytesConfig:
    """How weights are packed as they are loaded: 4bit or 8bit, computed in `dtype`."""
    if bits == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


@contextmanager
def answering(model: Any, config: RunConfig) -> Iterator[None]:
    """The model ready to generate, and back in training afterwards."""
    del config
    model.eval()
    try:
        yield
    finally:
        model.train()
