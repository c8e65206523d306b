"""The weights of a model folder, a few rows at a time: no file is ever in memory as a whole."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from trainer_core.errors import UserError
from trainer_core.planning.safetensors_header import Entry, indexed_files, read_header

# What the files are called that hold a whole model, and those of an adapter.
MODEL, ADAPTER = "model", "adapter_model"
# As the headers of safetensors files name them.
DTYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F64": torch.float64,
    "I64": torch.int64,
}


@dataclass(frozen=True)
class TensorFacts:
    """What a header says of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def rows(self) -> int:
        """Its first dimension; one for a number alone."""
        return self.shape[0] if self.shape else 1

    @property
    def size(self) -> int:
        """In bytes."""
        return math.prod(self.shape) * int(self.dtype.itemsize)


class Weights(Protocol):
    """Named tensors that are read row by row, by several threads at once. Names are transformers'
    own: `model.layers.0…`."""

    @property
    def tensors(self) -> dict[str, TensorFacts]:
        """Every tensor, in the order of the files."""

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        """Rows `start` to before `stop` of a tensor, [stop - start, …], in the dtype that `tensors`
        says. Memory that is the caller's to change."""


@dataclass(frozen=True)
class _Place:
    path: Path
    offset: int
    facts: TensorFacts


class SafetensorsFolder:
    """The weights of a folder, those of a whole model or of an adapter (`called`). Read with plain
    reads, not mapped: mapped pages count as this process's memory.

    Raises UserError for a folder without weights, or with files that are cut off.
    """

    def __init__(self, folder: Path, called: str = MODEL) -> None:
        self._places: dict[str, _Place] = {}
        for path in weight_files(folder, called):
            self._places |= _places(path)
        if not self._places:
            raise UserError(
                f"{folder} has no weights as safetensors",
                hint="Nothing that unpickles is ever loaded: save the model with "
                "save_pretrained(safe_serialization=True).",
            )
        self.tensors = {name: place.facts for name, place in self._places.items()}

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        """See Weights."""
        place = self._places[name]
        facts = place.facts
        row = facts.size // facts.rows if facts.rows else 0
        data = bytearray((stop - start) * row)
        with place.path.open("rb", buffering=0) as file:
            file.seek(place.offset + start * row)
            view = memoryview(data)
            done = 0
            while done < len(view):
                count = file.readinto(view[done:])
                if not count:
                    raise UserError(f"{place.path} is cut off")
                done += count
        shape = (stop - start, *facts.shape[1:]) if facts.shape else ()
        if not data:
            return torch.empty(shape, dtype=facts.dtype)
        return torch.frombuffer(data, dtype=facts.dtype).reshape(shape)


def weight_files(folder: Path, called: str = MODEL) -> list[Path]:
    """The files that hold the weights: those an index names, else the one that is called so; else
    all that are there. Beside weights there may be others, such as a checkpoint's optimizer."""
    paths = indexed_files(folder, called)
    if paths is not None:
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise UserError(f"{folder} lacks {missing[0]}, which its index names")
        return paths
    whole = folder / f"{called}.safetensors"
    if whole.is_file():
        return [whole]
    return sorted(path for path in folder.glob("*.safetensors") if path.name[:1] != ".")


def _places(path: Path) -> dict[str, _Place]:
    return {name: _place(path, entry) for name, entry in read_header(path).items()}


def _place(path: Path, entry: Entry) -> _Place:
    if entry.dtype not in DTYPES:
        raise UserError(
            f"{path} holds numbers as {entry.dtype}, which cannot be exported",
            hint=f"Known: {', '.join(DTYPES)}.",
        )
    return _Place(path, entry.offset, TensorFacts(entry.shape, DTYPES[entry.dtype]))
