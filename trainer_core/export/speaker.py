"""What the check asks of a model, whoever runs it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[np.float32]


class Speaker(Protocol):
    """A model that can be asked. Each runtime has one: llama.cpp, onnxruntime, transformers."""

    runtime: str

    def tokens(self, text: str) -> list[int]:
        """Token ids of plain text, as this runtime's own tokenizer gives them, without what is put
        around a text; special tokens written out in the text are recognised."""

    def logits(self, ids: Sequence[int]) -> Logits:
        """What the model expects after each of `ids`, from a fresh start: [ids, vocabulary]."""

    def answer(self, ids: Sequence[int], count: int) -> list[int]:
        """At most `count` tokens that follow `ids`, greedily, an end token included."""

    def template(self) -> str | None:
        """The chat template that comes with the model, if there is one."""

    def close(self) -> None:
        """Let go of the model's memory."""
