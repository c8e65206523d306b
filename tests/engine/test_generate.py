"""Answers to many prompts are what each would be alone."""

from pathlib import Path
from typing import Any

import pytest

from trainer_core.config.sampling import Sampling
from trainer_core.tokens.examples import Encoder
from trainer_core.tokens.tokenizer import load_tokenizer

pytest.importorskip("torch")

CONTEXT = 512  # of the demo's model
SHORT = ["What is a hen?", "Say hello.", "Tell me all about the sea, the sky and the birds."]


@pytest.fixture(scope="module")
def encoder(demo: Path) -> Encoder:
    return Encoder(load_tokenizer(demo / "base"), "demo")


@pytest.fixture(scope="module")
def model(demo: Path) -> Any:
    """The demo's base: asked something, it rambles on for more than 40 tokens."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(demo / "base").eval()


def test_a_long_prompt_shortens_no_other_answer(model: Any, encoder: Encoder) -> None:
    from trainer_core.engine.generate import generate, prompt_ids

    sampling = Sampling(max_tokens=40)
    prompts = [prompt_ids(encoder, text) for text in ("word " * 489, *SHORT, "word " * 480)]
    longest, long = len(prompts[0]), len(prompts[-1])
    assert CONTEXT - 40 < long < longest < CONTEXT
    made = dict(generate(model, encoder, prompts, sampling))
    assert [made[place].tokens for place in (1, 2, 3)] == [40, 40, 40]
    assert (made[0].tokens, made[4].tokens) == (CONTEXT - longest, CONTEXT - long)
    assert [made[place].ended for place in range(5)] == ["context", *["length"] * 3, "context"]
    alone = [dict(generate(model, encoder, [prompt], sampling))[0] for prompt in prompts]
    assert [made[place].text for place in range(5)] == [one.text for one in alone]


def test_an_answer_says_what_ended_it(model: Any, encoder: Encoder) -> None:
    from trainer_core.engine.generate import generate, prompt_ids

    prompts = [prompt_ids(encoder, text) for text in SHORT]
    whole = dict(generate(model, encoder, prompts, Sampling(max_tokens=200)))
    assert [whole[place].ended for place in range(3)] == ["itself"] * 3
    most = sorted(made.tokens for made in whole.values())[1]
    cut = dict(generate(model, encoder, prompts, Sampling(max_tokens=most)))
    for place, made in whole.items():
        assert cut[place].ended == ("itself" if made.tokens <= most else "length")
    assert [one.ended for one in cut.values()].count("length") == 1


def test_tokens_are_counted_as_they_are_made(model: Any, encoder: Encoder) -> None:
    from trainer_core.engine.generate import generate, prompt_ids

    prompts = [prompt_ids(encoder, text) for text in SHORT]
    counted: list[int] = []
    answers = generate(
        model, encoder, prompts, Sampling(max_tokens=200), batch_size=2, count=counted.append
    )
    first, second, alone = (made.tokens for _, made in answers)  # SHORT has the shortest first
    assert first != second
    # Each step of a batch gives one token to every answer that is not over.
    together = [min(n, first) + min(n, second) for n in range(1, max(first, second) + 1)]
    assert counted == [*together, *(together[-1] + n for n in range(1, alone + 1))]
