"""Answers of a model to any number of prompts, several at a time."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from trainer_core.config.sampling import Sampling
from trainer_core.data.chat import Ended, how_it_ended
from trainer_core.data.conversations import Turn
from trainer_core.data.formats.messages import turns_of
from trainer_core.data.rows import Row
from trainer_core.engine.memory import let_go
from trainer_core.engine.shrink import ran_out
from trainer_core.errors import StoppedError, UserError
from trainer_core.runs.control import Control
from trainer_core.tokens.examples import Encoder

log = logging.getLogger(__name__)

# Called with each token as it is chosen; what it raises ends the answer.
Hear = Callable[[int], None]
# Called with the number of tokens of all answers so far, as they are made.
Count = Callable[[int], None]
# A prompt is a text, or messages of the form {"role": …, "content": …}.
Prompt = str | Sequence[Mapping[str, Any]]
BATCH = 16


@dataclass(frozen=True)
class Generated:
    """An answer. `tokens` counts what was written, the token that ended it included; `seconds` is
    what its batch took; `ended` says what ended it."""

    text: str
    tokens: int
    seconds: float
    ended: Ended


def prompt_ids(encoder: Encoder, prompt: Prompt) -> list[int]:
    """Ids after which the model writes its answer. Raises UserError for messages that cannot be
    rendered."""
    if isinstance(prompt, str):
        return encoder.prompt_ids(prompt)
    return ids_of(encoder, turns_of(Row("the prompt", 1), list(prompt)))


def ids_of(
    encoder: Encoder, turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]] = ()
) -> list[int]:
    """Ids after which the model goes on with a conversation. Raises UserError for one that cannot
    be rendered."""
    if encoder.template is not None:
        text = encoder.template.render(turns, prompt=True, tools=tools)
        return encoder.tokenizer.encode(text, special=False)
    return encoder.prompt_ids(_asked(turns))


def generate(
    model: Any,
    encoder: Encoder,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    batch_size: int = BATCH,
    control: Control | None = None,
    count: Count | None = None,
) -> Iterator[tuple[int, Generated]]:
    """The answer to each of `prompts` (ids), with its place among them, as they are written: short
    prompts first, so that those of a batch are of about one length. A batch that the memory does
    not hold is halved, and a prompt after which the context has no room for a whole answer is a
    batch of its own: it shortens no other's.

    What is drawn depends on the seed and the place of a prompt, not on its batch. Raises UserError
    for a prompt that leaves no room in the model's context, StoppedError if the user ends it.
    """
    context = context_of(model)
    longest = max((len(prompt) for prompt in prompts), default=0)
    if context is not None and longest >= context:
        raise UserError(
            f"the prompt has {longest:,} tokens, and the model's context is {context:,}",
            hint="Shorten it: an answer needs room too.",
        )
    roomy = None if context is None else context - sampling.max_tokens
    batches = _batches([len(prompt) for prompt in prompts], batch_size, roomy)
    look, stops, written = going_on(control), encoder.tokenizer.stop_ids, 0
    while batches:
        places = batches.popleft()
        began = time.monotonic()
        step = look if count is None else _counting(look, count, written, stops)
        try:
            answers = _answers(model, encoder, prompts, places, sampling, context, step)
        except (RuntimeError, MemoryError) as error:
            if len(places) == 1 or not ran_out(error):
                raise
            half = len(places) // 2
            batches.extendleft([places[half:], places[:half]])
            log.warning("%d prompts at a time are too many for the memory: halved", len(places))
            let_go()
            continue
        seconds = time.monotonic() - began
        written += sum(map(len, answers))
        for place, ids in zip(places, answers, strict=True):
            room = None if context is None else context - len(prompts[place])
            by_itself = ids[-1] in stops
            ended = how_it_ended(len(ids), room, by_itself=by_itself)
            yield place, Generated(encoder.tokenizer.answer(ids), len(ids), seconds, ended)


def say(
    model: Any, encoder: Encoder, prompt: Sequence[int], sampling: Sampling, hear: Hear
) -> None:
    """Answer one prompt (ids), which leaves room in the model's context, as `generate` would; the
    token that ends the answer is heard too."""
    context = context_of(model)
    _answers(
        model, encoder, [prompt], [0], sampling, context, lambda ids: hear(int(ids[0, -1].item()))
    )


def going_on(control: Control | None) -> Callable[[object], None]:
    """Whatever it is called with: a sign of life. Raises StoppedError once the user wants that."""

    def step(_: object) -> None:
        if control is not None:
            control.beat()
            if control.stopping:
                raise StoppedError("stopped while answering")

    return step


def _counting(
    look: Callable[[object], None], count: Count, before: int, stops: Sequence[int]
) -> Callable[[torch.Tensor], None]:
    """A step that also counts: `before` this batch there were so many tokens."""

    def step(answers: torch.Tensor) -> None:
        look(answers)
        ends = torch.isin(answers, answers.new_tensor(stops))
        over = ends.cumsum(dim=1) > ends  # what comes behind an answer's end is padding
        count(before + int((~over).sum()))

    return step


def _batches(lengths: Sequence[int], size: int, roomy: int | None) -> deque[list[int]]:
    """The places of prompts with these lengths, shortest first, `size` at a time; those longer than
    `roomy` one at a time."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    whole = [place for place in order if roomy is None or lengths[place] <= roomy]
    alone = order[len(whole) :]
    return deque(
        [*(whole[n : n + size] for n in range(0, len(whole), size)), *([place] for place in alone)]
    )


def _answers(
    model: Any,
    encoder: Encoder,
    prompts: Sequence[Sequence[int]],
    places: list[int],
    sampling: Sampling,
    context: int | None,
    step: Callable[[torch.Tensor], None],
) -> list[list[int]]:
    """The tokens that follow each of the prompts at `places`, up to one that ends an answer. `step`
    is called with the answers so far, [rows, tokens], each time there is one more in every row."""
    batch, pad = [list(prompts[place]) for place in places], encoder.tokenizer.pad_id
    width = max(len(ids) for ids in batch)
    ids = torch.tensor([[pad] * (width - len(one)) + one for one in batch])
    mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in batch])
    room = sampling.max_tokens if context is None else min(sampling.max_tokens, context - width)
    with torch.no_grad():
        output = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=room,
            # Drawing is ours (see Drawn), so that a batch changes nothing; and a penalty for
            # repetition would count the padding.
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            repetition_penalty=1.0,
            logits_processor=LogitsProcessorList(
                [Drawn(sampling, places)] if sampling.temperature > 0 else []
            ),
            stopping_criteria=StoppingCriteriaList([_Step(step, width)]),
            eos_token_id=list(encoder.tokenizer.stop_ids) or None,
            pad_token_id=pad,
            use_cache=True,
        )
    stops = set(encoder.tokenizer.stop_ids)
    return [_up_to(row[width:].tolist(), stops) for row in output]


class Drawn(LogitsProcessor):  # type: ignore[misc]
    """Logits whose largest is a draw from them: scaled by the temperature, cut to `top_p`, and
    with Gumbel noise (Gumbel 1954; "the Gumbel-max trick") of a generator for each prompt."""

    def __init__(self, sampling: Sampling, places: list[int]) -> None:
        self._sampling = sampling
        self._generators = [
            torch.Generator().manual_seed(sampling.seed * 1_000_003 + place) for place in places
        ]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` is [rows, vocabulary]."""
        del input_ids
        scores = scores.float() / self._sampling.temperature
        if self._sampling.top_p < 1:
            ordered, index = scores.sort(dim=-1, descending=True)
            share = ordered.softmax(dim=-1)
            beyond = share.cumsum(dim=-1) - share >= self._sampling.top_p
            scores = scores.masked_fill(beyond.scatter(-1, index, beyond), -torch.inf)
        width = scores.shape[-1]
        waits = [torch.empty(width).exponential_(generator=one) for one in self._generators]
        return scores - torch.stack(waits).log().to(scores.device)


class _Step(StoppingCriteria):  # type: ignore[misc]
    """Calls a function after each token of a batch, whose prompts have this width, and ends nothing
    by itself."""

    def __init__(self, step: Callable[[torch.Tensor], None], width: int) -> None:
        self._step = step
        self._width = width

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """Whether each row is over: bool [rows]."""
        del scores
        self._step(input_ids[:, self._width :])
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def context_of(model: Any) -> int | None:
    """The most tokens that a model was made for, where its config says so."""
    found = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(found) if found else None


def _up_to(ids: list[int], stops: set[int]) -> list[int]:
    """`ids` up to the first that ends an answer; padding comes after it."""
    end = next((place for place, token in enumerate(ids, 1) if token in stops), len(ids))
    return ids[:end]


def _asked(turns: Sequence[Turn]) -> str:
    """For a model without a chat template, which learnt prompt, newline, completion."""
    if any(turn.role not in ("user", "system") for turn in turns):
        raise UserError(
            "the model has no chat template, so it knows no conversations",
            hint="Give one prompt alone, as text.",
        )
    return "\n".join(turn.content for turn in turns)
