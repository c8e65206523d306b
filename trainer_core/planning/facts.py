"""What planning knows of a model and of the data, read without loading either."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer_core.errors import UserError


@dataclass(frozen=True)
class ModelFacts:
    """A model folder's config.json, as far as planning needs it."""

    name: str
    model_type: str
    context: int
    parameters: int
    has_template: bool


@dataclass(frozen=True)
class DataFacts:
    """The examples after tokenising. Lengths in tokens."""

    train: int
    validation: int
    longest: int
    tokens: int
    trained_tokens: int


def is_local(base: str) -> bool:
    """Whether `base` names a folder here rather than a model on the hub."""
    path = Path(base).expanduser()
    return path.exists() or base.startswith((".", "/", "~", "\\")) or base.count("/") != 1


def model_facts(folder: Path) -> ModelFacts:
    """Read a model folder. Raises UserError if it is not one."""
    config = _json(folder / "config.json")
    inner = config.get("text_config")
    sizes: dict[str, Any] = inner if isinstance(inner, dict) else config
    model_type = config.get("model_type")
    if (
        not isinstance(model_type, str)
        or not model_type.replace("_", "").replace("-", "").isalnum()
    ):
        raise UserError(
            f"{folder / 'config.json'} names no model_type", hint="Is this a base model?"
        )
    return ModelFacts(
        name=folder.name,
        model_type=model_type,
        context=_number(sizes, "max_position_embeddings", 2048),
        parameters=_parameters(folder),
        has_template=_has_template(folder),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        adapter = (path.parent / "adapter_config.json").exists()
        what = "holds an adapter, not a base model" if adapter else "is not a model folder"
        raise UserError(
            f"{path.parent} {what} (it has no {path.name})",
            hint="Name a folder saved by transformers, or a model on the hub, in model.base.",
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} is not a JSON object")
    return data


def _number(data: dict[str, Any], key: str, default: int) -> int:
    value = data.get(key)
    return value if isinstance(value, int) and 0 < value < 2**31 else default


def _has_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    path = folder / "tokenizer_config.json"
    return path.is_file() and bool(_json(path).get("chat_template"))


def _parameters(folder: Path) -> int:
    """How many numbers the weights hold, from the headers of the safetensors files."""
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(100 << 20, path.stat().st_size):
                raise UserError(f"{path} is not a safetensors file, or is cut off")
            try:
                header = json.loads(file.read(length))
                tensors = [tensor for name, tensor in header.items() if name != "__metadata__"]
                total += sum(math.prod(tensor["shape"]) for tensor in tensors)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                raise UserError(f"{path} has a broken header") from None
    return total
