"""What is trained, on disk: an adapter (a PEFT folder) or a whole model, with the tokenizer it was
trained with; always whole."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from trainer_core.errors import UserError
from trainer_core.files import put_folder

WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)


def save_trained(
    model: Any,
    folder: Path,
    base: Path,
    template: str | None = None,
    initial: Path | None = None,
) -> None:
    """Write what was trained so that `folder` is always a whole one.

    `template` is the text of the chat template used, if it is not the base model's own. `initial`
    holds the adapter as it started, where it took weights from the base (see `plain`).
    """
    temporary = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    write_trained(model, temporary)
    if initial is not None:
        plain(temporary, initial)
    for name in _TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, temporary / name)
    if template is not None:
        (temporary / "chat_template.jinja").write_text(template, encoding="utf-8")
    folder.parent.mkdir(parents=True, exist_ok=True)
    put_folder(temporary, folder)


def write_trained(model: Any, folder: Path) -> None:
    """The trained weights and their config, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(folder), safe_serialization=True)
    (folder / "README.md").unlink(missing_ok=True)  # a model card with nothing filled in


def load_trained(model: Any, folder: Path) -> None:
    """Put saved weights into the model: those of an adapter, or all. Raises UserError if they are
    another model's."""
    if isinstance(model, PeftModel):
        put_adapter(model, read_weights(folder), str(folder))
        return
    weights: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        weights |= _read(path)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    tied = set(getattr(model, "_tied_weights_keys", None) or [])
    if unexpected or set(missing) - tied:
        raise UserError(f"{folder} holds another model: {[*unexpected, *missing][0]}")


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of an adapter's folder, by PEFT's names. Raises UserError."""
    return _read(folder / WEIGHTS)


def adapter_of(model: Any) -> dict[str, torch.Tensor]:
    """A copy of the weights of the model's adapter, by PEFT's names, on the CPU."""
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


def put_adapter(model: Any, weights: dict[str, torch.Tensor], name: str) -> None:
    """Put weights into the model's adapter. Raises UserError, with the `name` of what they are, if
    they do not fit."""
    try:
        result = set_peft_model_state_dict(model, weights)
    except (RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"the adapter in {name} does not fit this model: {reason}") from None
    unexpected = list(getattr(result, "unexpected_keys", None) or [])
    if unexpected:
        raise UserError(
            f"the adapter in {name} has weights that this model does not: {unexpected[0]}",
            hint="It was made for another base model, or for other lora.targets.",
        )


def plain(folder: Path, initial: Path) -> None:
    """Make an adapter whose start took weights out of the base (PiSSA, OLoRA) one for the base as
    it is: the change of the weights is B A - B0 A0, an adapter of twice the rank.

    Source: PEFT's documentation of PiSSA, "convert to LoRA". A is [r, in], B is [out, r].
    """
    trained, start = _read(folder / WEIGHTS), _read(initial / WEIGHTS)
    for name, weight in trained.items():
        if ".lora_A." in name:
            trained[name] = torch.cat([weight, start[name].to(weight)], dim=0)
        elif ".lora_B." in name:
            trained[name] = torch.cat([weight, -start[name].to(weight)], dim=1)
    save_file(trained, folder / WEIGHTS, metadata={"format": "pt"})
    path = folder / _CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    config["r"] *= 2
    # The scale stays: alpha / r, or alpha / sqrt(r).
    config["lora_alpha"] *= 2**0.5 if config.get("use_rslora") else 2
    config["init_lora_weights"] = True
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        found: dict[str, torch.Tensor] = load_file(path)
    except FileNotFoundError:
        raise UserError(
            f"{path.parent} has no {path.name}",
            hint="Weights are read as safetensors only; nothing that unpickles is ever loaded.",
        ) from None
    except Exception as error:  # safetensors has an error type of its own
        raise UserError(f"{path} cannot be read: {error}") from None
    return found
