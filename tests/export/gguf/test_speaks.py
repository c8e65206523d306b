"""llama.cpp says of a GGUF what transformers says of the model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from tests.export.gguf.tiny_models import TINY, opened
from tests.export.gguf.tiny_tokenizers import STRINGS
from trainer_core.export.gguf.llama import LlamaSpeaker
from trainer_core.export.gguf.write import write_gguf

IDS = [int(number) for number in np.random.default_rng(0).integers(3, 390, 60)]


def logits_of(folder: Path, ids: list[int]) -> np.ndarray:
    """transformers' own, [ids, vocabulary]."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


@pytest.mark.parametrize("name", TINY)
def test_logits_are_those_of_transformers(name, tiny, tiny_gguf):
    expected = logits_of(tiny(name), IDS)
    with LlamaSpeaker(tiny_gguf(name, "f32"), context=64) as speaker:
        found = speaker.logits(IDS)
    # llama.cpp looks Gemma's activation up in a table of half precision.
    limit = 1e-2 if name.startswith("gemma") else 2e-4
    assert np.abs(found - expected).max() < limit
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.parametrize("name", TINY)
def test_tokens_are_those_of_the_tokenizer(name, tiny, tiny_gguf):
    tokenizer = Tokenizer.from_file(str(tiny(name) / "tokenizer.json"))
    with LlamaSpeaker(tiny_gguf(name, "f32"), context=64) as speaker:
        found = [speaker.tokens(text) for text in STRINGS]
    assert found == [tokenizer.encode(text, add_special_tokens=False).ids for text in STRINGS]


def test_a_real_model_goes_on_with_a_story_in_the_same_words(shared, tmp_path):
    folder = shared / "models" / "stories260K"
    write_gguf(opened(folder), tmp_path / "s.gguf", "f32", lambda _: None)
    with LlamaSpeaker(tmp_path / "s.gguf", context=160) as speaker:
        prompt = [1, *speaker.tokens("Once upon a time, there was a little girl")]
        answer = speaker.answer(prompt, 100)
        story = speaker.text(answer)
    greedy = logits_of(folder, prompt + answer).argmax(axis=1)
    assert len(answer) == 100
    assert answer == greedy[len(prompt) - 1 : -1].tolist()
    assert "She loved to play" in story


def test_the_demo_model_keeps_its_template(demo, tmp_path):
    template = (demo / "base" / "chat_template.jinja").read_text(encoding="utf-8")
    notes = write_gguf(opened(demo / "base", template), tmp_path / "d.gguf", "f16", lambda _: None)
    assert notes == []
    with LlamaSpeaker(tmp_path / "d.gguf", context=128) as speaker:
        assert speaker.metadata("tokenizer.chat_template") == template
        assert speaker.metadata("general.architecture") == "llama"
        assert speaker.metadata("no.such.key") is None
        asked = "<|im_start|>Once upon a time, there was a little girl."
        answer = speaker.answer(speaker.tokens(asked), 40)
    # It ends by itself, with the token that ends a turn.
    assert answer.index(2) == len(answer) - 1


def test_more_tokens_than_it_remembers_are_refused(tiny_gguf):
    with LlamaSpeaker(tiny_gguf("mistral", "f16"), context=256) as speaker:
        assert speaker.logits([1] * 256).shape == (256, 480)
        with pytest.raises(ValueError, match="at most 256"):
            speaker.logits([1] * 257)


def test_nothing_of_llama_cpp_reaches_the_terminal(tiny_gguf, capfd, tmp_path):
    with LlamaSpeaker(tiny_gguf("mistral", "f16"), context=64) as speaker:
        speaker.logits(IDS[:4])
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny_gguf("mistral", "f16").read_bytes()[:5000])
    with pytest.raises(Exception, match=r"llama\.cpp cannot load .*broken\.gguf"):
        LlamaSpeaker(broken)
    assert capfd.readouterr() == ("", "")
