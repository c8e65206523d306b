"""What becomes of Axolotl's keys, where it takes more than another name."""

from typing import Any

from trainer_core.config.imports.hugging_face import found, template
from trainer_core.config.imports.reading import Reading, Rule
from trainer_core.config.imports.rules import (
    given,
    settled,
    wanted,
)
from trainer_core.config.imports.values import blank, names, off, says_yes, text, yes_no
from trainer_core.config.yaml_file import Keys

_TEMPLATES = {
    "alpaca": "alpaca",
    "chatml": "chatml",
    **dict.fromkeys(("deepseek_v2", "deepseek_v3"), "deepseek"),
    **dict.fromkeys(("gemma", "gemma3"), "gemma"),
    "llama3": "llama-3",
    **dict.fromkeys(("mistral", "mistral_v1", "mistral_v2v3", "mistral_v3_tekken"), "mistral"),
    "mistral_v7_tekken": "mistral",
    **dict.fromkeys(("phi_3", "phi_35"), "phi-3"),
    "phi_4": "phi-4",
}


@wanted
def adapter(reading: Reading, keys: Keys, value: Any) -> None:
    """lora, qlora, or nothing."""
    if value not in ("lora", "qlora"):
        raise reading.refusal(keys, "should be lora or qlora, or empty", value)
    reading.put("training.method", "lora", keys)
    if value == "qlora":
        reading.put("model.quantization", "4bit", keys)


def load_in(bits: int) -> Rule:
    """Bits of the base's weights: 4, or 8, or neither."""
    other = f"load_in_{12 - bits}bit"

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if reading.coerced(keys, value, yes_no):
            reading.put("model.quantization", f"{bits}bit", keys)
        elif says_yes(reading.value(other)) or reading.value("adapter") == "qlora":
            reading.settle(keys)
        else:
            reading.put("model.quantization", "none", keys)

    return rule


def target_linear(reading: Reading, keys: Keys, value: Any) -> None:
    """Whether all linear layers get an adapter."""
    if says_yes(value):
        reading.put("lora.targets", "all-linear", keys)
    elif not blank(value):
        reading.settle(keys)


@wanted
def target_modules(reading: Reading, keys: Keys, value: Any) -> None:
    """Names of modules; beside all linear layers they add nothing."""
    if says_yes(reading.value("lora_target_linear")) or value == "all-linear":
        reading.settle(keys)
        return
    reading.put("lora.targets", reading.coerced(keys, value, names), keys)


@given
def packing(reading: Reading, keys: Keys, value: Any) -> None:
    """Several examples in a row, or a micro-batch as one."""
    if says_yes(value):
        kind = "pack" if keys == ("sample_packing",) else "padding-free"
        reading.put("training.packing", kind, keys)
    elif keys == ("sample_packing",) and not says_yes(reading.value("batch_flattening")):
        reading.coerced(keys, value, yes_no)
        reading.put("training.packing", "off", keys)
    else:
        reading.settle(keys)


def chat_template(reading: Reading, keys: Keys, value: Any) -> None:
    """The name of a template: a family here, or what the model brings."""
    if blank(value) or value == "jinja":
        settled(reading, keys, value)
    elif str(value).startswith("tokenizer_default"):
        reading.settle(keys)
    else:
        template(_TEMPLATES)(reading, keys, value)


@given
def chat_template_jinja(reading: Reading, keys: Keys, value: Any) -> None:
    """A template, or the path of its file."""
    template = reading.coerced(keys, value, text)
    if "{" in template or "\n" in template:
        reading.note(keys, "is a template; write it to a file, and name that in model.template")
    else:
        reading.put("model.template", found(reading, template), keys)


@given
def checkpointing(reading: Reading, keys: Keys, value: Any) -> None:
    """Whether activations are computed again; or kept in RAM."""
    if value in ("unsloth", "offload", "offload_disk"):
        reading.put("training.gradient_checkpointing", "unsloth", keys)
        if value == "offload_disk":
            reading.note(keys, "keeps activations in RAM here, not on the disk")
    else:
        wanted = reading.coerced(keys, value, yes_no)
        reading.put("training.gradient_checkpointing", "on" if wanted else "off", keys)


def attends(kind: str) -> Rule:
    """One of several keys that say how attention is computed."""

    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if says_yes(value):
            reading.put("model.attention", kind, keys)
            reading.note(keys, "counts under the transformers backend; Unsloth brings its own")
        else:
            settled(reading, keys, value)

    return rule


def tracker(name: str) -> Rule:
    """A tracker that is wanted, by its name or by that of a project."""

    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if off(value) or (name == "wandb" and reading.value("wandb_mode") == "disabled"):
            settled(reading, keys, value)
            return
        others = reading.get("tracking.to")
        if others is None:
            reading.put("tracking.to", [name], keys)
        elif name not in others:
            others.append(name)
        if says_yes(value):
            return
        if reading.has("tracking.project"):
            reading.note(keys, "has no say, since another tracker's project is named")
        else:
            reading.put("tracking.project", reading.coerced(keys, value, text), keys)

    return rule


@wanted
def loftq(reading: Reading, keys: Keys, value: Any) -> None:
    """Settings of the adapter's start."""
    if not isinstance(value, dict):
        raise reading.refusal(keys, "should be a section with loftq_bits", value)
    reading.put("lora.init", "loftq", keys)
