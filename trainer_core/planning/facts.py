"""What planning knows of a model and of the data, read without loading either."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainer_core.config.model_section import Quantization
from trainer_core.errors import UserError
from trainer_core.planning.safetensors_header import indexed_files, read_header
from trainer_core.planning.shape import ModelShape, model_shape
from trainer_core.reading import read_object


@dataclass(frozen=True)
class ModelFacts:
    """A model's config.json, as far as planning needs it. `shape` is None for a kind of model whose
    sizes are not understood; `quantized` is how the weights are stored."""

    name: str
    model_type: str
    context: int
    parameters: int
    has_template: bool
    shape: ModelShape | None = None
    quantized: Quantization = "none"


@dataclass(frozen=True)
class ShardFacts:
    """What one run of a multi-run trains on: so many rows of batches in a pass, of which some are
    replayed."""

    name: str
    rows: int
    replayed: int = 0


@dataclass(frozen=True)
class DataFacts:
    """The examples after tokenising. `train` and `validation` count the rows that batches are made
    of, which with packing hold several of the `examples`. Lengths in tokens. `shards` are those of
    a multi-run, once the data was cut."""

    train: int
    validation: int
    longest: int
    tokens: int
    trained_tokens: int
    examples: int = 0
    estimated: bool = False
    shards: tuple[ShardFacts, ...] = ()


def is_local(base: str) -> bool:
    """Whether `base` names a folder here rather than a model on the hub."""
    path = Path(base).expanduser()
    return _exists(path) or base.startswith((".", "/", "~", "\\")) or base.count("/") != 1


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def model_facts(folder: Path) -> ModelFacts:
    """Read a model folder. Raises UserError if it is not one."""
    config = _json(folder / "config.json")
    facts = facts_of(config, folder.name, where=str(folder / "config.json"))
    return ModelFacts(
        name=facts.name,
        model_type=facts.model_type,
        context=facts.context,
        parameters=_parameters(folder) or facts.parameters,
        has_template=_has_template(folder),
        shape=facts.shape,
        quantized=facts.quantized,
    )


def facts_of(config: Mapping[str, Any], name: str, where: str = "") -> ModelFacts:
    """The facts in a config.json's content. Raises UserError if it is none of a model."""
    inner = config.get("text_config")
    sizes = inner if isinstance(inner, Mapping) else config
    model_type = config.get("model_type")
    if (
        not isinstance(model_type, str)
        or not model_type.replace("_", "").replace("-", "").isalnum()
    ):
        raise UserError("it names no model_type", where=where, hint="Is this a base model?")
    shape = model_shape(config)
    if shape is not None:  # a preset says what its config.json does not: a vision tower
        shape = replace(shape, other_parameters=_number(config, "other_parameters", 0))
    return ModelFacts(
        name=name,
        model_type=model_type,
        context=_number(sizes, "max_position_embeddings", 2048),
        parameters=shape.parameters if shape is not None else 0,
        has_template=True,
        shape=shape,
        quantized=_quantized(config.get("quantization_config")),
    )


def _quantized(config: object) -> Quantization:
    if not isinstance(config, Mapping):
        return "none"
    if config.get("load_in_8bit") is True:
        return "8bit"
    # Of other methods (GPTQ, AWQ, FP8) this says no more than that it cannot be undone here.
    return "4bit"


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except FileNotFoundError:
        raise UserError(
            f"{path.parent} is not a model folder (it has no {path.name})",
            hint="Name a folder saved by transformers, or a model on the hub, in model.base.",
        ) from None


def _number(data: Mapping[str, Any], key: str, default: int) -> int:
    value = data.get(key)
    return value if isinstance(value, int) and 0 < value < 2**31 else default


def _has_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file():
        return True
    path = folder / "tokenizer_config.json"
    return path.is_file() and bool(_json(path).get("chat_template"))


def _parameters(folder: Path) -> int:
    """How many numbers the weights hold, from the headers of the safetensors files; 0 where they
    are not here, or packed by quantization."""
    indexed = indexed_files(folder)
    if indexed is not None and not all(path.is_file() for path in indexed):
        return 0
    total = 0
    for path in indexed if indexed is not None else sorted(folder.glob("*.safetensors")):
        tensors = read_header(path).values()
        if any(tensor.dtype in {"U8", "I8", "I32"} for tensor in tensors):
            return 0
        total += sum(tensor.numbers for tensor in tensors)
    return total
