"""Who trains: Unsloth or plain transformers. Decided before anything heavy is imported."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError
from trainer_core.planning import multi_run
from trainer_core.planning.export_limits import export_limits

Backend = Literal["unsloth", "transformers"]


@dataclass(frozen=True)
class BackendChoice:
    """The backend and why."""

    name: Backend
    why: str


def choose_backend(wish: str) -> BackendChoice:
    """Resolve `model.backend`. Raises UserError if what is asked for is not installed."""
    if find_spec("torch") is None or find_spec("peft") is None:
        raise UserError(
            "training needs torch, transformers, trl and peft, which are not installed",
            hint="On a machine without a GPU: make install. With one: pip install "
            "'backprop-tui[unsloth]'.",
        )
    installed = find_spec("unsloth") is not None
    if wish == "unsloth":
        if not installed:
            raise UserError(
                "model.backend is unsloth, which is not installed",
                hint="pip install 'backprop-tui[unsloth]', or set model.backend to auto.",
            )
        return BackendChoice("unsloth", "as configured")
    if wish == "transformers":
        return BackendChoice("transformers", "as configured")
    if not installed:
        return BackendChoice("transformers", "Unsloth is not installed")
    if "transformers" in sys.modules and "unsloth" not in sys.modules:
        # Unsloth patches transformers as it is imported, and comes too late here.
        return BackendChoice("transformers", "transformers was imported before Unsloth could be")
    return BackendChoice("unsloth", "Unsloth is installed")


def require_supported(config: RunConfig, *, gpu: bool) -> None:
    """Refuse what was asked for and cannot be done here, whoever trains; nothing is ignored.

    `config.model.backend` may still be open. Raises UserError naming the field and a way out.
    """
    for applies, message, hint in _limits(config, gpu):
        if applies:
            raise UserError(message, hint=hint)


def _limits(config: RunConfig, gpu: bool) -> Iterator[tuple[bool, str, str]]:
    """What cannot be done: whether it was asked for, a sentence, and a way out."""
    model, lora, training = config.model, config.lora, config.training
    quantised = model.quantization in ("4bit", "8bit")
    full = training.method == "full"
    unsloth = model.backend == "unsloth"
    yield (
        full and quantised,
        f"model.quantization is {model.quantization}, and all weights of such a model cannot be "
        "trained",
        "Set training.method: lora, or model.quantization: none.",
    )
    yield (
        full and lora.adapter is not None,
        "lora.adapter names an adapter to go on with, and training.method is full",
        "Set training.method: lora.",
    )
    needs = {
        f"model.quantization: {model.quantization}": quantised,
        f"training.optimizer: {training.optimizer}": training.optimizer in _BITSANDBYTES,
    }
    for what, asked in needs.items():
        yield (
            asked and find_spec("bitsandbytes") is None,
            f"{what} needs bitsandbytes, which is not installed",
            "pip install bitsandbytes, or leave the field out.",
        )
    yield (
        training.optimizer.startswith("paged") and not gpu,
        f"training.optimizer: {training.optimizer} moves its state off the GPU, and there is none",
        f"Set training.optimizer: {training.optimizer.removeprefix('paged_')}.",
    )
    yield (
        "float16" in (training.precision, model.dtype) and not gpu,
        "float16 is computed on GPUs only",
        "Set it to float32 or bfloat16.",
    )
    yield (
        training.precision == "float32" and model.dtype in ("bfloat16", "float16"),
        f"training.precision is float32, and the weights are kept in {model.dtype}",
        "Set model.dtype: float32 too, or leave training.precision out.",
    )
    yield (
        model.attention is not None and unsloth,
        f"model.attention is {model.attention}, and Unsloth brings its own attention",
        "Leave it out, or set model.backend: transformers.",
    )
    yield (
        model.attention == "flash_attention_2" and find_spec("flash_attn") is None,
        "model.attention: flash_attention_2 needs the flash-attn package, which is not installed",
        "Set model.attention: sdpa.",
    )
    yield (
        training.gradient_checkpointing == "unsloth" and model.backend == "transformers",
        "training.gradient_checkpointing: unsloth is Unsloth's own",
        "Set it to on, or model.backend: unsloth.",
    )
    yield (
        lora.init in ("pissa", "olora") and model.quantization == "8bit",
        f"lora.init: {lora.init} starts from the base's weights, which are quantised to 8 bits",
        "Set lora.init: default, or model.quantization: none.",
    )
    yield (
        lora.init == "pissa" and model.quantization == "4bit",
        "lora.init: pissa starts from the base's weights, which are quantised to 4 bits",
        "Set lora.init: loftq, or model.quantization: none.",
    )
    yield (
        lora.dora and lora.init in ("pissa", "olora"),
        f"lora.init: {lora.init} cannot be taken apart again from lora.dora when it is saved",
        "Leave one of them out.",
    )
    yield (
        lora.init == "loftq" and (model.quantization != "4bit" or not gpu),
        "lora.init: loftq mends a base that is quantised to 4 bits, on a GPU",
        "Set model.quantization: 4bit on a machine with a GPU, or lora.init: default.",
    )
    yield (
        full and bool({"adapter", "adapter-gguf"} & set(config.export.formats)),
        "export.formats names an adapter, and training.method: full makes a whole model",
        "Take merged, gguf or onnx.",
    )
    yield from multi_run.limits(config)
    if config.export.formats:
        yield from export_limits(config.export)
    # Unsloth's CPU backend takes these without a word, and without effect; where it was imported
    # it has patched the loop of transformers too.
    patched = unsloth or "unsloth" in sys.modules
    silent = {
        f"model.quantization: {model.quantization}": model.quantization == "8bit",
        f"training.optimizer: {training.optimizer}": training.optimizer.endswith("_8bit"),
        f"training.precision: {training.precision}": training.precision != "auto"
        and model.dtype != "auto"
        and training.precision != model.dtype,
    }
    for what, asked in silent.items():
        yield (
            asked and patched and not gpu,
            f"{what} has no effect under Unsloth on a CPU",
            "Leave it out, or set model.backend: transformers in a process without Unsloth.",
        )
    for tracker in config.tracking.to:
        yield (
            find_spec(tracker) is None,
            f"tracking.to names {tracker}, which is not installed",
            "make install-tracking, or pip install 'backprop-tui[tracking]', or leave it out.",
        )


_BITSANDBYTES = {"adamw_8bit", "paged_adamw", "paged_adamw_8bit", "lion", "lion_8bit"}
