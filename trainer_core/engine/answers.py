"""Answers while a model is in training: greedy, so that what differs is the model."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from trainer_core.config.sampling import Sampling
from trainer_core.data.asked import Asked
from trainer_core.engine.generate import context_of, generate, ids_of
from trainer_core.errors import StoppedError
from trainer_core.runs.control import Control
from trainer_core.tokens.examples import Encoder


def answer_asked(
    model: Any, encoder: Encoder, asked: Sequence[Asked], max_tokens: int, control: Control
) -> dict[int, str]:
    """The answer to each of `asked`, by its place among them, as far as the user lets it go on.
    One that leaves no room in the model's context has none.

    The model must be ready to generate (see the backends' `answering`). Raises UserError for what
    cannot be rendered, and whatever the model raises.
    """
    context = context_of(model)
    prompts = [ids_of(encoder, one.turns, one.tools) for one in asked]
    fit = [place for place, ids in enumerate(prompts) if context is None or len(ids) < context]
    made: dict[int, str] = {}
    with suppress(StoppedError):
        for number, answer in generate(
            model, encoder, [prompts[place] for place in fit], Sampling(max_tokens), control=control
        ):
            made[fit[number]] = answer.text
    return dict(sorted(made.items()))
