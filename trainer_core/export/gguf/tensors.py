"""The tensors of a GGUF, and how each is made from the model's a few rows at a time."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import gguf
import torch
from gguf import GGMLQuantizationType as Type

from trainer_core.config.export_section import GgufType
from trainer_core.errors import UserError
from trainer_core.export.gguf.architectures import Architecture
from trainer_core.export.gguf.encoding import byte_size, type_of
from trainer_core.export.weights import TensorFacts, Weights
from trainer_core.text import one_line

EMBEDDINGS = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
# A multimodal folder's names for what the text model alone calls model.…
_LANGUAGE = re.compile(r"^(?:model\.language_model\.|language_model\.model\.)")
# What a multimodal folder has besides, and buffers of old folders.
_LEFT_OUT = re.compile(r"(?:^|\.)(?:vision_tower|multi_modal_projector)\.|\.rotary_emb\.inv_freq$")


@dataclass(frozen=True)
class Written:
    """A tensor to write: its GGUF name, shape as torch has it, and type. `rows(start, stop)` gives
    the rows to encode; they are asked for in multiples of `step`. `read` is what one row counts in
    bytes of the model."""

    name: str
    shape: tuple[int, ...]
    kind: Type
    rows: Callable[[int, int], torch.Tensor]
    step: int = 1
    read: int = 0

    @property
    def size(self) -> int:
        """In bytes, as written."""
        return byte_size(self.shape, self.kind)

    @property
    def count(self) -> int:
        """How many rows it has; one for a single number."""
        return self.shape[0] if self.shape else 1

    def blocks(self, limit: int) -> Iterator[tuple[int, int]]:
        """First row and end of pieces of about `limit` bytes, counted in 32 bits a number."""
        width = 4 * math.prod(self.shape[1:])
        rows = max(1, limit // max(1, width * self.step)) * self.step
        return ((start, min(start + rows, self.count)) for start in range(0, self.count, rows))


def tensors_of(architecture: Architecture, weights: Weights, kind: GgufType) -> list[Written]:
    """Every tensor of the file, in the order of the model's files.

    Raises UserError for a tensor that llama.cpp has no place for, and for one that is missing.
    """
    names = own_names(weights)
    if architecture.tied:
        names.pop(HEAD, None)
    for missing in {EMBEDDINGS} | ({HEAD} if not architecture.tied else set()):
        if missing not in names:
            raise UserError(f"the model has no {missing}")
    written = [
        Written(name, tuple(data.shape), Type.F32, _slicer(data))
        for name, data in architecture.tensors.items()
    ]
    for name, source in names.items():
        facts = weights.tensors[source]
        place = gguf_name(architecture, name)
        head = name == HEAD or (architecture.tied and name == EMBEDDINGS)
        written.append(
            Written(
                place,
                facts.shape,
                type_of(place, facts.shape, kind, head=head),
                _reader(architecture, weights, name, source, facts),
                step=_step(architecture, name),
                read=facts.size // max(1, facts.rows),
            )
        )
    return written


def own_names(weights: Weights) -> dict[str, str]:
    """Names as a text model has them, to those in the files; what is no part of it is left out."""
    return {own_name(name): name for name in weights.tensors if not _LEFT_OUT.search(name)}


def own_name(name: str) -> str:
    """A tensor's name as a text model has it: without what a multimodal one puts before."""
    return _LANGUAGE.sub("model.", name).removeprefix("language_model.")


def gguf_name(architecture: Architecture, name: str) -> str:
    """llama.cpp's name of a tensor. Raises UserError where it has none."""
    projection = name.split(".")[-2] if "." in name else ""
    known = not name.endswith(".bias") or projection in architecture.biases
    known_names = _names(architecture.name, architecture.layers)
    found = known_names.get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None or not known:
        shown = one_line(name, limit=100)
        raise UserError(f"llama.cpp has no place for {shown} in a {architecture.name} model")
    return str(found)


def permuted(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of q or k of whole heads, [heads x size, …], in llama.cpp's order: the two numbers that
    are turned together lie side by side, not half a head apart."""
    halves = rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def is_permuted(architecture: Architecture, name: str) -> bool:
    """Whether a tensor's rows are."""
    return architecture.permuted and name.split(".")[-2] in ("q_proj", "k_proj")


@cache
def _names(architecture: str, layers: int) -> gguf.TensorNameMap:
    """gguf's table of names, which takes longer to make than a tensor of a small model."""
    arch = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == architecture)
    return gguf.get_tensor_name_map(arch, layers)


def _slicer(data: torch.Tensor) -> Callable[[int, int], torch.Tensor]:
    return lambda start, stop: data[start:stop]


def _step(architecture: Architecture, name: str) -> int:
    return architecture.head_size if is_permuted(architecture, name) else 1


def _reader(
    architecture: Architecture, weights: Weights, name: str, source: str, facts: TensorFacts
) -> Callable[[int, int], torch.Tensor]:
    if not facts.dtype.is_floating_point:
        raise UserError(
            f"{one_line(source, limit=100)} is quantised ({facts.dtype})",
            hint="Merge into the 16-bit base first.",
        )
    shift = architecture.norm_shift if name.endswith("norm.weight") else 0.0
    if is_permuted(architecture, name):
        size = architecture.head_size
        return lambda start, stop: permuted(
            weights.rows(source, start, stop), (stop - start) // size
        )
    if shift:
        return lambda start, stop: weights.rows(source, start, stop).to(torch.float32) + shift
    return lambda start, stop: weights.rows(source, start, stop)
