"""An export that answers prompts in the runtime it was made for: a GGUF, or ONNX."""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainer_core.config.sampling import Sampling
from trainer_core.data.chat import how_it_ended
from trainer_core.data.conversations import Turn
from trainer_core.engine.base_model import fetch
from trainer_core.engine.generate import Count, Drawn, Generated, Hear, going_on
from trainer_core.engine.subject import Subject
from trainer_core.errors import UserError
from trainer_core.export.speaker import Answerer, Logits
from trainer_core.runs.control import Control
from trainer_core.runs.trained import is_onnx
from trainer_core.scoring.slices import SliceScores
from trainer_core.tokens.examples import Encoder, Example
from trainer_core.tokens.renderer import Renderer
from trainer_core.tokens.tokenizer import load_tokenizer

# Tokens that it remembers at most, a prompt and its answer: their memory is taken beforehand.
MOST_CONTEXT = 8192


class ExportedModel:
    """An AskedModel that answers one prompt after another, rendered by the chat template that came
    with it.

    `path` is a GGUF file or a folder with ONNX. Raises UserError where its runtime is missing,
    BackpropError where that cannot load it.
    """

    def __init__(self, path: Path) -> None:
        self._speaker = _speaker(path)
        self.runtime, self.context = self._speaker.runtime, self._speaker.context
        template, bos, eos = self._speaker.template(), *map(self._speaker.mark, ("bos", "eos"))
        self._renderer = Renderer(template, bos, eos) if template is not None else None

    def ids(self, turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        """See AskedModel."""
        if self._renderer is not None:
            return self._speaker.tokens(self._renderer.render(turns, prompt=True, tools=tools))
        if any(turn.role not in {"user", "system"} for turn in turns):
            raise UserError(
                "the export has no chat template, so it knows no conversations",
                hint="Give one prompt alone, as text.",
            )
        text = "\n".join(turn.content for turn in turns) + "\n"
        ids = self._speaker.tokens(text, special=True)
        return ids[:-1] if ids and self.ends(ids[-1]) else ids

    def answers(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        batch: int,
        control: Control,
        count: Count | None = None,
    ) -> Iterator[tuple[int, Generated]]:
        """See AskedModel."""
        del batch
        look, written = going_on(control), itertools.count(1)

        def hear(token: int) -> None:
            look(token)
            if count is not None:
                count(next(written))

        for place, ids in enumerate(prompts):
            began = time.monotonic()
            said = self._answer(ids, sampling, place, hear)
            room, by_itself = self.context - len(ids), self.ends(said[-1])
            ended = how_it_ended(len(said), room, by_itself=by_itself)
            yield place, Generated(self.text(said), len(said), time.monotonic() - began, ended)

    def say(self, prompt: Sequence[int], sampling: Sampling, hear: Hear) -> None:
        """See AskedModel."""
        self._answer(prompt, sampling, 0, hear)

    def ends(self, token: int) -> bool:
        """See AskedModel."""
        return self._speaker.ends(token)

    def text(self, ids: Sequence[int]) -> str:
        """See AskedModel."""
        said = ids[:-1] if ids and self.ends(ids[-1]) else ids
        return self._speaker.text(said).strip()

    def _answer(self, ids: Sequence[int], sampling: Sampling, place: int, hear: Hear) -> list[int]:
        room = min(sampling.max_tokens, self.context - len(ids))
        return self._speaker.answer(ids, room, _Chooser(sampling, place, hear))

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
        look = going_on(control)
        for number, example in enumerate(examples):
            look(number)
            trained = example.trained[1:]
            wanted = example.ids[1:][trained]
            logits = self._speaker.logits(example.ids.tolist())[:-1][trained].astype(np.float64)
            highest = logits.max(axis=1)
            log_sums = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
            losses[number] = (log_sums - logits[np.arange(len(wanted)), wanted]).sum()
            correct[number] = (logits.argmax(axis=1) == wanted).sum()
            tokens[number] = len(wanted)
        return SliceScores(losses, correct, tokens)


def _speaker(path: Path) -> Answerer:
    """The runtime, which is only loaded where it is needed."""
    if is_onnx(path):
        from trainer_core.export.onnx_speaker import OnnxSpeaker

        return OnnxSpeaker(path, most=MOST_CONTEXT)
    from trainer_core.export.gguf.llama import LlamaSpeaker

    return LlamaSpeaker(path, context=None, most=MOST_CONTEXT)


class _Chooser:
    """The next token, which is heard: the likeliest, or one drawn as the trained model's are."""

    def __init__(self, sampling: Sampling, place: int, hear: Hear) -> None:
        self._drawn = Drawn(sampling, [place]) if sampling.temperature > 0 else None
        self._hear = hear

    def __call__(self, logits: Logits) -> int:
        """`logits` is [vocabulary]."""
        if self._drawn is None:
            token = int(logits.argmax())
        else:
            token = int(self._drawn(None, torch.from_numpy(logits)[None]).argmax())
        self._hear(token)
        return token
