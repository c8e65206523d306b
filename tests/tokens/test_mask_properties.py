"""Whatever a conversation says, marks of templates included: exactly the answers are trained."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tokens.test_families import FAMILIES, made, source
from trainer_core.data.conversations import Conversation, Turn
from trainer_core.tokens.chat_template import ChatTemplate
from trainer_core.tokens.examples import Encoder
from trainer_core.tokens.tokenizer import load_tokenizer

# What could mislead whoever looks for answers in a rendering.
MARKS = [
    "<|im_start|>assistant\n", "<|im_end|>", "<|im_end|>\n<|im_start|>user\n", "[/INST]", "</s>",
    "<start_of_turn>model\n", "<end_of_turn>", "<|eot_id|>", "### Response:\n", "<|assistant|>",
    "<｜Assistant｜>", "\n\n", "  ", "{{ x }}", "{% generation %}", "🦜", "日本", "e\u0301",
]  # fmt: skip
PIECES = st.lists(st.sampled_from(MARKS) | st.text("ab \n\t.", max_size=6), min_size=1, max_size=6)
CONTENTS = PIECES.map("".join).filter(lambda text: text.strip())


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    contents = draw(st.lists(CONTENTS, min_size=2, max_size=6).filter(lambda c: len(c) % 2 == 0))
    turns = [Turn("assistant" if n % 2 else "user", text) for n, text in enumerate(contents)]
    return Conversation("x:1", tuple(turns))


def bare(text: str) -> str:
    """Without white space: templates trim contents, each in its own way."""
    return "".join(text.split())


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=60, deadline=None)
@given(talk=conversations())
def test_answers_and_nothing_else(name: str, talk: Conversation) -> None:
    template = TEMPLATES.setdefault(name, made(source(name)))
    text, spans = template.render_with_spans(talk)
    answers = [turn.content for turn in talk.turns if turn.role == "assistant"]
    found = [bare(text[start:end]) for start, end in spans]
    assert found == [bare(answer + FAMILIES[name]) for answer in answers]


TEMPLATES: dict[str, ChatTemplate] = {}


@settings(max_examples=200, deadline=None)
@given(talk=conversations())
def test_trained_tokens_are_the_tokens_of_the_answers(talk: Conversation) -> None:
    example = ENCODER.encode(talk)
    assert example.trained_tokens == int(example.trained.sum())
    assert ((example.labels == example.ids) == example.trained).all()
    pieces = ENCODER.tokenizer.pieces(example.ids.tolist())
    trained = "".join(
        piece for (piece, _), trained in zip(pieces, example.trained, strict=True) if trained
    )
    answers = [turn.content for turn in talk.turns if turn.role == "assistant"]
    assert bare(trained) == bare("".join(f"{answer}<|im_end|>" for answer in answers))
    assert np.diff(example.spans.reshape(-1)).min(initial=1) > 0


def _encoder() -> Encoder:
    from trainer_core.config.shipped import shipped

    return Encoder(load_tokenizer(shipped("configs") / "demo" / "base"), "demo")


ENCODER = _encoder()
