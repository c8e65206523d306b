"""What the check asks of a model, whoever runs it."""

from collections.abc import Callable, Sequence
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


class Answerer(Speaker, Protocol):
    """An exported model in its runtime, that goes on with a conversation. `context` is the most
    tokens of a prompt and its answer."""

    context: int

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """See Speaker; with `special` also what the tokenizer puts around a text."""

    def answer(
        self, ids: Sequence[int], count: int, choose: Callable[[Logits], int] | None = None
    ) -> list[int]:
        """See Speaker. `choose` takes the next token from logits, [vocabulary]; the likeliest if it
        is None."""

    def ends(self, token: int) -> bool:
        """Whether a token ends an answer."""

    def text(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens left out."""

    def mark(self, which: str) -> str:
        """The token that begins (`bos`) or ends (`eos`) a text, as it is written; empty where there
        is none."""
