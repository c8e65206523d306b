"""The adapter on disk: a PEFT folder with the tokenizer it was trained with, always whole."""

import shutil
from pathlib import Path
from typing import Any

from peft import set_peft_model_state_dict
from safetensors.torch import load_file

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)


def save_adapter(model: Any, folder: Path, base: Path, template: str | None = None) -> None:
    """Write the adapter so that `folder` is always a whole one.

    `template` is the text of the chat template used, if it is not the base model's own.
    """
    temporary = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    write_adapter(model, temporary)
    for name in _TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, temporary / name)
    if template is not None:
        (temporary / "chat_template.jinja").write_text(template, encoding="utf-8")
    if folder.exists():
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        temporary.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.rename(folder)


def write_adapter(model: Any, folder: Path) -> None:
    """The adapter's weights and config, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(folder), safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)  # a model card with nothing filled in


def load_adapter_weights(model: Any, folder: Path) -> None:
    """Put the weights of a saved adapter into the model's adapter."""
    weights = load_file(folder / "adapter_model.safetensors")
    result = set_peft_model_state_dict(model, weights)
    if getattr(result, "unexpected_keys", None):
        raise ValueError(
            f"{folder} has weights that this model does not: {result.unexpected_keys[:3]}"
        )
