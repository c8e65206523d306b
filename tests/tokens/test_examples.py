"""The ids are those of transformers, and exactly what the assistant wrote is trained."""

import re
import shutil
from pathlib import Path

import pytest
import tokenizers
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.errors import UserError
from trainer_core.tokens.examples import Encoder, Example
from trainer_core.tokens.tokenizer import load_tokenizer

TALK = Conversation(
    "rows.jsonl:1",
    (
        Turn("system", "Be brief."),
        Turn("user", "What is a mango?"),
        Turn("assistant", "A mango is a fruit."),
        Turn("user", "And a hen?  "),
        Turn("assistant", " A hen is a bird — 🐔.\n"),
    ),
)
PAIR = Conversation(
    "rows.jsonl:2", (Turn("user", "Once upon"), Turn("assistant", "a time.")), pair=True
)


def encoder(folder: Path, template: Path | None = None) -> Encoder:
    return Encoder(load_tokenizer(folder, str(template) if template else None), folder.name)


def trained_text(encoder: Encoder, example: Example) -> str:
    ids = example.ids[example.trained].tolist()
    return encoder.tokenizer.backend.decode(ids, skip_special_tokens=False)


def test_chatml_as_transformers_has_it(demo: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(demo / "base").apply_chat_template(
        [{"role": turn.role, "content": turn.content} for turn in TALK.turns],
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ours = encoder(demo / "base").encode(TALK)
    assert ours.ids.tolist() == list(theirs["input_ids"])
    assert ours.trained.tolist() == [bool(x) for x in theirs["assistant_masks"]]


def test_what_the_assistant_wrote_is_trained(demo: Path) -> None:
    ours = encoder(demo / "base")
    example = ours.encode(TALK)
    first, second = TALK.turns[2].content, TALK.turns[4].content
    assert trained_text(ours, example) == f"{first}<|im_end|>{second}<|im_end|>"
    assert example.labels[example.labels != -100].tolist() == example.ids[example.trained].tolist()


def test_a_template_without_generation_marks_gives_the_same(demo: Path, tmp_path: Path) -> None:
    source = (demo / "base" / "chat_template.jinja").read_text()
    plain = tmp_path / "plain.jinja"
    plain.write_text(re.sub(r"{%-? (end)?generation %}", "", source))
    assert "generation %}" not in plain.read_text()
    one, other = encoder(demo / "base", plain).encode(TALK), encoder(demo / "base").encode(TALK)
    assert one.labels.tolist() == other.labels.tolist()


def test_a_prompt_is_the_beginning_of_its_example(demo: Path) -> None:
    ours = encoder(demo / "base")
    prompt, example = ours.prompt_ids("Once upon"), ours.encode(PAIR)
    assert example.ids[: len(prompt)].tolist() == prompt
    assert not example.trained[: len(prompt)].any()
    assert example.trained[len(prompt)]


def test_a_template_that_rewrites_the_past_is_refused(demo: Path, tmp_path: Path) -> None:
    template = tmp_path / "t.jinja"
    template.write_text(
        "{{ messages | length }}{% for m in messages %}{{ m.content | upper }}{% endfor %}"
    )
    with pytest.raises(UserError, match="generation") as caught:
        encoder(demo / "base", template).encode(TALK)
    assert caught.value.where == TALK.where


def test_a_template_that_rewrites_the_past_around_the_answers(demo: Path, tmp_path: Path) -> None:
    template = tmp_path / "t.jinja"
    template.write_text(
        "{{ messages | length }}{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}"
        "<|im_end|>{% endfor %}"
    )
    ours = encoder(demo / "base", template)
    first, second = TALK.turns[2].content, TALK.turns[4].content.strip()
    assert trained_text(ours, ours.encode(TALK)) == f"{first}<|im_end|>{second}<|im_end|>"


def test_a_template_that_refuses_or_reaches_out(demo: Path, tmp_path: Path) -> None:
    template = tmp_path / "t.jinja"
    template.write_text("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(UserError, match="roles must alternate") as caught:
        encoder(demo / "base", template).encode(TALK)
    assert caught.value.where == TALK.where
    template.write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(UserError):
        encoder(demo / "base", template).encode(TALK)
    template.write_text("{% for %}")
    with pytest.raises(UserError, match="not valid"):
        encoder(demo / "base", template).encode(TALK)


def test_without_a_template_bos_once_and_the_end_is_learnt(shared: Path) -> None:
    from transformers import AutoTokenizer

    folder = shared / "models" / "stories260K"
    ours = encoder(folder)
    example = ours.encode(PAIR)
    theirs = AutoTokenizer.from_pretrained(folder)
    text = "Once upon\na time."
    expected = theirs(text)["input_ids"]
    if expected[-1] != theirs.eos_token_id:
        expected = [*expected, theirs.eos_token_id]
    ids = example.ids.tolist()
    assert ids == expected
    assert ids.count(theirs.bos_token_id) == 1
    assert ids.count(theirs.eos_token_id) == 1
    assert example.trained[-1]
    assert not example.trained[0]
    assert "time." in trained_text(ours, example)
    assert "Once" not in trained_text(ours, example)


@pytest.mark.parametrize("around", ["<s> $A </s>", "$A </s>", "<s> $A"])
@pytest.mark.parametrize("words", range(1, 12))
def test_short_answers_are_trained_whatever_the_tokenizer_puts_around(
    tmp_path: Path, around: str, words: int
) -> None:
    backend = tokenizers.Tokenizer(
        WordLevel({"<s>": 0, "</s>": 1, "a": 2, "yes": 3, "[UNK]": 4}, unk_token="[UNK]")
    )
    backend.pre_tokenizer = WhitespaceSplit()
    backend.post_processor = TemplateProcessing(
        single=around, special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    backend.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>", "bos_token": "<s>"}')
    prompt = " ".join(["a"] * words)
    for answers in (1, 2, 5):
        answer = " ".join(["yes"] * answers)
        talk = Conversation("x:1", (Turn("user", prompt), Turn("assistant", answer)), pair=True)
        example = encoder(tmp_path).encode(talk)
        assert example.ids[example.trained].tolist() == [3] * answers + [1]
        text = encoder(tmp_path).encode(Conversation("x:1", text=answer))
        assert text.ids[text.trained].tolist()[-answers - 1 :] == [3] * answers + [1]


def test_a_conversation_needs_a_template(shared: Path) -> None:
    with pytest.raises(UserError, match=r"model\.template") as caught:
        encoder(shared / "models" / "stories260K").encode(TALK)
    assert caught.value.where == TALK.where


def test_qwen2_ids_are_those_of_transformers(shared: Path, demo: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = tmp_path / "qwen2"
    shutil.copytree(shared / "tokenizers" / "qwen2", folder)
    if load_tokenizer(folder).template is None:
        shutil.copy(demo / "base" / "chat_template.jinja", folder)
    theirs = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        [{"role": turn.role, "content": turn.content} for turn in TALK.turns], return_dict=True
    )
    assert encoder(folder).encode(TALK).ids.tolist() == list(theirs["input_ids"])


def test_a_broken_tokenizer_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="not a tokenizer"):
        load_tokenizer(tmp_path)


def test_a_plain_text_begins_and_ends_as_the_model_has_it(shared: Path, demo: Path) -> None:
    text = Conversation("rows.jsonl:3", text="Once upon a time.")
    for folder in (shared / "models" / "stories260K", demo / "base"):
        ours = encoder(folder)
        ids = ours.encode(text).ids.tolist()
        bos = ours.tokenizer.backend.token_to_id(ours.tokenizer.bos) if ours.tokenizer.bos else None
        assert ids.count(ours.tokenizer.eos_id) == 1
        assert ids[-1] == ours.tokenizer.eos_id
        if folder.name == "stories260K":
            assert ids[0] == bos
        assert ours.encode(text).trained[1:].all()
