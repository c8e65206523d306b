"""A model written as GGUF, block by block: neither the model nor its largest tensor is ever in
memory as a whole."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import gguf

from trainer_core.config.export_section import GgufType
from trainer_core.errors import UserError
from trainer_core.export.gguf.architectures import Architecture, architecture_of
from trainer_core.export.gguf.encoding import FILE_TYPES, encode
from trainer_core.export.gguf.tensors import EMBEDDINGS, Written, own_names, tensors_of
from trainer_core.export.gguf.vocabulary import Vocabulary, read_vocabulary
from trainer_core.export.model import BLOCK, ExportModel, Tell

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
    writer = gguf.GGUFWriter(None, architecture.name)
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


def write_tensors(
    writer: gguf.GGUFWriter, tensors: list[Written], target: Path, tell: Tell
) -> None:
    """Write the metadata that `writer` was given, and the tensors after it; `tell` hears what was
    read of the model. What it raises, and what the disk does, comes through."""
    for tensor in tensors:
        writer.add_tensor_info(
            tensor.name, tensor.shape, _NO_DTYPE, tensor.size, raw_dtype=tensor.kind
        )
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        tell(done)

    try:
        writer.write_header_to_file(target)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors:
            writer.write_tensor_data(_Stream(tensor, count))
        for file in writer.fout or []:
            file.flush()
            os.fsync(file.fileno())
    finally:
        writer.close()


# The writer looks at a dtype only where it is not told the type.
_NO_DTYPE: Any = None


@dataclass(frozen=True)
class _Stream:
    """A tensor as the writer takes it: something with a size that goes into a file."""

    tensor: Written
    count: Callable[[int], None]

    @property
    def nbytes(self) -> int:
        return self.tensor.size

    def tofile(self, file: BinaryIO) -> None:
        for start, stop in self.tensor.blocks(BLOCK):
            file.write(encode(self.tensor.rows(start, stop), self.tensor.kind))
            self.count((stop - start) * self.tensor.read)


def add_values(writer: gguf.GGUFWriter, values: dict[str, Any]) -> None:
    """Metadata of plain values: whole numbers as 32 bits without sign, others as they are."""
    for key, value in values.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_string(key, value)


def _add_model(
    writer: gguf.GGUFWriter,
    model: ExportModel,
    architecture: Architecture,
    vocabulary: Vocabulary,
    kind: GgufType,
) -> None:
    keys = {f"{architecture.name}.{key}": value for key, value in architecture.keys.items()}
    stripping = vocabulary.strips and architecture.name == "phi3"
    add_values(
        writer,
        {
            "general.type": "model",
            "general.name": _name(model.name, stripping),
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
