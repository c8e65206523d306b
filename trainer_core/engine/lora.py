"""The adapter's settings in PEFT's words, for both backends."""

from typing import Any

from trainer_core.config.model_section import LoraSection

# Those that begin with the base's own weights, and leave the rest in it.
FROM_THE_BASE = ("pissa", "olora")


def lora_arguments(lora: LoraSection) -> dict[str, Any]:
    """Arguments that LoraConfig and Unsloth's get_peft_model both take."""
    start = lora.init if lora.init in (*FROM_THE_BASE, "gaussian") else True
    return {
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": lora.targets,
        "bias": "none",
        "use_rslora": lora.rslora,
        "use_dora": lora.dora,
        "init_lora_weights": start,
    }


def mend_quantization(model: Any, lora: LoraSection, folder: str) -> None:
    """LoftQ: start a new adapter with what quantization took away (PEFT computes it on a GPU)."""
    if lora.init == "loftq":
        from peft import replace_lora_weights_loftq

        replace_lora_weights_loftq(model, model_path=folder)
