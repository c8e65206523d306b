"""A GGUF that answers prompts, as Ollama and others would have it answer."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainer_core.config.sampling import Sampling
from trainer_core.data.conversations import Turn
from trainer_core.engine.base_model import fetch
from trainer_core.engine.generate import Drawn, Generated
from trainer_core.engine.subject import Subject
from trainer_core.errors import StoppedError, UserError
from trainer_core.export.gguf.llama import LlamaSpeaker
from trainer_core.export.speaker import Logits
from trainer_core.runs.control import Control
from trainer_core.scoring.slices import SliceScores
from trainer_core.tokens.examples import Encoder, Example
from trainer_core.tokens.renderer import Renderer
from trainer_core.tokens.tokenizer import load_tokenizer

# Tokens that it remembers at most, a prompt and its answer: their memory is taken beforehand.
MOST_CONTEXT = 8192


class GgufModel:
    """An AskedModel that llama.cpp runs, one prompt after another.

    A prompt is rendered by the chat template in the file. Raises UserError where llama.cpp is
    missing, BackpropError where it cannot load the file.
    """

    runtime = "llama.cpp"

    def __init__(self, path: Path) -> None:
        self._speaker = LlamaSpeaker(path, context=None, most=MOST_CONTEXT)
        self.context = self._speaker.context
        template, bos, eos = self._speaker.template(), *map(self._speaker.mark, ("bos", "eos"))
        self._renderer = Renderer(template, bos, eos) if template is not None else None

    def ids(self, turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        """See AskedModel."""
        if self._renderer is not None:
            return self._speaker.tokens(self._renderer.render(turns, prompt=True, tools=tools))
        if any(turn.role not in {"user", "system"} for turn in turns):
            raise UserError(
                "the GGUF has no chat template, so it knows no conversations",
                hint="Give the prompt as text.",
            )
        text = "\n".join(turn.content for turn in turns) + "\n"
        return self._speaker.tokens(text, special=True)

    def answers(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, batch: int, control: Control
    ) -> Iterator[tuple[int, Generated]]:
        """See AskedModel."""
        del batch
        for place, ids in enumerate(prompts):
            began = time.monotonic()
            room = min(sampling.max_tokens, self.context - len(ids))
            said = self._speaker.answer(ids, room, _Chooser(sampling, place, control))
            text = self._speaker.text(said).strip()
            yield place, Generated(text, len(said), time.monotonic() - began)

    def encoder(self, subject: Subject | None) -> Encoder | None:
        """See AskedModel."""
        if subject is None:
            return None
        wish = subject.config.model
        base = fetch(wish.base, wish.revision, code=wish.trust_remote_code)
        train_on = subject.config.data.train_on
        return Encoder(load_tokenizer(base, wish.template), wish.base, train_on)

    def knows(self, examples: Sequence[Example], batch: int, control: Control) -> SliceScores:
        """See AskedModel."""
        del batch
        losses = np.zeros(len(examples))
        correct, tokens = np.zeros(len(examples), np.int64), np.zeros(len(examples), np.int64)
        for number, example in enumerate(examples):
            stop_if_asked(control)
            trained = example.trained[1:]
            wanted = example.ids[1:][trained]
            logits = self._speaker.logits(example.ids.tolist())[:-1][trained].astype(np.float64)
            highest = logits.max(axis=1)
            log_sums = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
            losses[number] = (log_sums - logits[np.arange(len(wanted)), wanted]).sum()
            correct[number] = (logits.argmax(axis=1) == wanted).sum()
            tokens[number] = len(wanted)
        return SliceScores(losses, correct, tokens)


def stop_if_asked(control: Control) -> None:
    """A sign of life. Raises StoppedError once the user wants that."""
    control.beat()
    if control.stopping:
        raise StoppedError("stopped while answering")


class _Chooser:
    """The next token: the likeliest, or one drawn as the trained model's are. Raises StoppedError
    once the user wants that."""

    def __init__(self, sampling: Sampling, place: int, control: Control) -> None:
        self._drawn = Drawn(sampling, [place]) if sampling.temperature > 0 else None
        self._control = control

    def __call__(self, logits: Logits) -> int:
        """`logits` is [vocabulary]."""
        stop_if_asked(self._control)
        if self._drawn is None:
            return int(logits.argmax())
        return int(self._drawn(None, torch.from_numpy(logits)[None]).argmax())
