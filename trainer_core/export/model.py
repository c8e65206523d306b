"""What every converter starts from: one model, with what was trained already in its weights."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer_core.export.weights import Weights

# Bytes of a tensor that are worked on at once.
BLOCK = 16 << 20
# Called with the bytes done so far, of the tensors as they are read.
Tell = Callable[[int], None]


@dataclass(frozen=True)
class ExportModel:
    """A model about to be written. `name` is safe in a file name; `config` is its config.json;
    `tokenizer` the folder with its tokenizer.json; `template` the chat template it was trained
    with, if there is one; `dtype` the number format that most of the base's weights have."""

    name: str
    weights: Weights
    config: dict[str, Any]
    tokenizer: Path
    template: str | None
    dtype: str = "float32"

    @property
    def size(self) -> int:
        """Bytes of all tensors as they are read."""
        return sum(facts.size for facts in self.weights.tensors.values())
