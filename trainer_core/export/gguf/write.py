"""A model written as GGUF, block by block: neither the model nor its largest tensor is ever in
memory as a whole."""

import re
from pathlib import Path
from typing import Any

import gguf

from trainer_core.config.export_section import GgufType
from trainer_core.errors import UserError
from trainer_core.export.gguf.architectures import Architecture, architecture_of
from trainer_core.export.gguf.encoding import FILE_TYPES
from trainer_core.export.gguf.stream import write_tensors
from trainer_core.export.gguf.tensors import EMBEDDINGS, own_names, tensors_of
from trainer_core.export.gguf.values import add_values
from trainer_core.export.gguf.vocabulary import Vocabulary, read_vocabulary
from trainer_core.export.gguf.writer import ListWriter
from trainer_core.export.model import ExportModel, Tell

# llama.cpp takes the white space after special tokens away where the model's name has this in it,
# and fails to load other models of that name.
_STRIPPING = "phi-3"
_STRIPPING_NAME = re.compile(r"(phi|modern)-?(?=3|bert)", re.IGNORECASE)
_ALIGNMENT = 32
_ROLES = {"unk": "unknown", "sep": "seperator", "pad": "padding"}


def write_gguf(model: ExportModel, target: Path, kind: GgufType, tell: Tell) -> list[str]:
    """Write `model` to `target` in one of the types of WRITTEN_HERE, and give notes for the user.

    Everything that can be refused is, before `target` is touched. What `tell` raises ends it in
    the middle, and `target` with it is no whole file. The file is on disk when this returns.
    """
    if kind not in FILE_TYPES:
        raise UserError(f"{kind} is made by llama.cpp, from a GGUF in 16 bits")
    architecture = architecture_of(model.config)
    tensors = tensors_of(architecture, model.weights, kind)
    vocabulary = read_vocabulary(model.tokenizer, _flat(model.config), _rows(model))
    writer = ListWriter(None, architecture.name)
    _add_model(writer, model, architecture, vocabulary, kind)
    _add_vocabulary(writer, vocabulary)
    if model.template:
        writer.add_chat_template(model.template)
    write_tensors(writer, tensors, target, tell)
    tell(model.size)
    return [*architecture.notes, *vocabulary.notes]


def gguf_size(model: ExportModel, kind: GgufType) -> int:
    """How many bytes the file will have: the tensors to the byte, and what comes before them as
    long as tokenizer.json, which says the same with more words. Raises what write_gguf would of
    the model's architecture."""
    architecture = architecture_of(model.config)
    tensors = tensors_of(architecture, model.weights, kind)
    padded = sum(-(-tensor.size // _ALIGNMENT) * _ALIGNMENT for tensor in tensors)
    tokenizer = model.tokenizer / "tokenizer.json"
    words = tokenizer.stat().st_size if tokenizer.is_file() else 0
    return padded + words + len((model.template or "").encode()) + 128 * len(tensors)


def _add_model(
    writer: gguf.GGUFWriter,
    model: ExportModel,
    architecture: Architecture,
    vocabulary: Vocabulary,
    kind: GgufType,
) -> None:
    keys = {f"{architecture.name}.{key}": value for key, value in architecture.keys.items()}
    add_values(
        writer,
        {
            "general.type": "model",
            "general.name": _name(model.name, vocabulary.strips),
            "general.file_type": FILE_TYPES[kind],
            "general.quantization_version": gguf.GGML_QUANT_VERSION,
            **keys,
        },
    )


def _name(name: str, stripping: bool) -> str:
    if stripping:
        return name if _STRIPPING in name.lower() else f"{name} ({_STRIPPING})"
    return _STRIPPING_NAME.sub(r"\1_", name)


def _add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.kind)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    ids = {
        f"tokenizer.ggml.{_ROLES.get(role, role)}_token_id": number
        for role, number in vocabulary.special.items()
    }
    flags = {
        "tokenizer.ggml.add_bos_token": vocabulary.add_bos,
        "tokenizer.ggml.add_eos_token": vocabulary.add_eos,
    }
    if vocabulary.add_space is not None:
        flags["tokenizer.ggml.add_space_prefix"] = vocabulary.add_space
    add_values(writer, ids | flags)


def _rows(model: ExportModel) -> int:
    return model.weights.tensors[own_names(model.weights)[EMBEDDINGS]].rows


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, **(config.get("text_config") or {})}
