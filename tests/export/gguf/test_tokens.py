"""A GGUF splits text into the tokens that its model was trained on."""

import json
import shutil
from pathlib import Path

import gguf
import pytest
from tokenizers import Tokenizer

from tests.export.gguf.tiny_models import opened
from tests.export.gguf.zeros import zeros
from trainer_core.errors import UserError
from trainer_core.export.gguf.llama import LlamaSpeaker
from trainer_core.export.gguf.vocabulary import Vocabulary, read_vocabulary
from trainer_core.export.gguf.write import write_gguf


def changed(folder: Path, place: Path, change) -> Path:
    """A copy of a tokenizer, with its tokenizer.json changed."""
    place.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(folder / name, place / name)
    data = json.loads((place / "tokenizer.json").read_text(encoding="utf-8"))
    change(data)
    (place / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    return place


def read_changed(folder: Path, place: Path, change) -> Vocabulary:
    return read_vocabulary(changed(folder, place, change), {}, 480)


def test_47_of_47_of_qwen2(shared, ggml_strings, tmp_path):
    folder = shared / "tokenizers" / "qwen2"
    write_gguf(zeros(folder, 151936), tmp_path / "q.gguf", "f16", lambda _: None)
    lines = (folder / "ggml-vocab-qwen2.gguf.out").read_text("utf-8").split("\n")
    expected = [[int(number) for number in line.split()] for line in lines]
    with LlamaSpeaker(tmp_path / "q.gguf", context=64) as speaker:
        assert [speaker.tokens(text) for text in ggml_strings] == expected
        assert speaker.metadata("tokenizer.ggml.pre") == "qwen2"


def test_47_of_47_of_a_sentencepiece_model(shared, ggml_strings, tmp_path):
    folder = shared / "models" / "stories260K"
    write_gguf(opened(folder), tmp_path / "s.gguf", "q8_0", lambda _: None)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with LlamaSpeaker(tmp_path / "s.gguf", context=64) as speaker:
        for text in ggml_strings:
            assert speaker.tokens(text) == tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("name", ["mistral", "gemma2", "llama3", "phi4"])
def test_47_of_47_of_tiny_tokenizers(name, tiny, tiny_gguf, ggml_strings):
    tokenizer = Tokenizer.from_file(str(tiny(name) / "tokenizer.json"))
    with LlamaSpeaker(tiny_gguf(name, "f32"), context=64) as speaker:
        for text in ggml_strings:
            assert speaker.tokens(text) == tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("name", ["my-model", "distilled-from-PHI3"])
def test_phi_3_drops_the_space_after_its_marks_whatever_its_name(name, tiny, tmp_path):
    model = opened(tiny("phi3"))
    target = tmp_path / "p.gguf"
    write_gguf(type(model)(name, *list(vars(model).values())[1:]), target, "f16", lambda _: None)
    text = "<|user|>\n Once upon a time<|end|>\n<|assistant|>\n"
    tokenizer = Tokenizer.from_file(str(tiny("phi3") / "tokenizer.json"))
    with LlamaSpeaker(target, context=64) as speaker:
        assert speaker.tokens(text) == tokenizer.encode(text, add_special_tokens=False).ids


def test_a_name_that_llama_cpp_reads_as_phi_3_does_not_break_other_models(tiny, tmp_path):
    model = opened(tiny("qwen3"))
    target = tmp_path / "p.gguf"
    write_gguf(type(model)("phi3-to-qwen", *list(vars(model).values())[1:]), target, "f16", print)
    with LlamaSpeaker(target, context=64) as speaker:
        assert speaker.tokens("Once upon a time")


def test_a_changed_bos_does_not_hide_a_known_tokenizer(shared, tmp_path):
    bos, name = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, "<|endoftext|>"

    def add_bos(data):
        text = {"Sequence": {"id": "A", "type_id": 0}}
        data["post_processor"] = {
            "type": "TemplateProcessing", "single": [bos, text], "pair": [bos, text, text],
            "special_tokens": {name: {"id": name, "ids": [151643], "tokens": [name]}},
        }  # fmt: skip
        # Another pattern as well, so that only the ids can tell.
        split = data["pre_tokenizer"]["pretokenizers"][0]
        split["pattern"]["Regex"] = split["pattern"]["Regex"].replace("'s|'t|", "'t|'s|")

    folder = changed(shared / "tokenizers" / "qwen2", tmp_path / "t", add_bos)
    vocabulary = read_vocabulary(folder, {"bos_token_id": 151643}, 151936)
    assert (vocabulary.pre, vocabulary.notes) == ("qwen2", [])


def test_an_unknown_tokenizer_is_guessed_by_its_digits_and_that_is_said(tiny, tmp_path):
    def own_pattern(data):
        split = data["pre_tokenizer"]["pretokenizers"][0]
        split["pattern"]["Regex"] = split["pattern"]["Regex"].replace("'s|", "'s|'x|")

    vocabulary = read_changed(tiny("qwen2"), tmp_path / "t", own_pattern)
    assert vocabulary.pre == "qwen2"
    assert "does not know this tokenizer" in vocabulary.notes[0]


def test_what_llama_cpp_has_no_name_for_is_refused(tiny, tmp_path):
    def own_pattern(data):
        data["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\w+|\W"

    with pytest.raises(UserError, match="no name for"):
        read_changed(tiny("qwen2"), tmp_path / "t", own_pattern)


def test_a_tokenizer_that_is_no_byte_pairs_is_refused(tiny, tmp_path):
    def words(data):
        vocabulary = data["model"]["vocab"]
        data["model"] = {
            "type": "WordLevel",
            "vocab": vocabulary,
            "unk_token": next(iter(vocabulary)),
        }

    with pytest.raises(UserError, match="is a WordLevel"):
        read_changed(tiny("qwen2"), tmp_path / "t", words)


def test_spaces_that_llama_cpp_puts_elsewhere_are_said(tiny, tmp_path):
    def metaspace(data):
        data["normalizer"] = None
        data["pre_tokenizer"] = {
            "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False,
        }  # fmt: skip

    vocabulary = read_changed(tiny("mistral"), tmp_path / "t", metaspace)
    assert vocabulary.add_space
    assert "after special tokens" in vocabulary.notes[0]


def test_what_stands_around_a_text_is_said_where_llama_cpp_cannot_put_it(tiny, tmp_path):
    def two(data):
        data["post_processor"]["single"].insert(0, {"SpecialToken": {"id": "[INST]", "type_id": 0}})
        data["post_processor"]["special_tokens"]["[INST]"] = {
            "id": "[INST]", "ids": [440], "tokens": ["[INST]"],
        }  # fmt: skip

    vocabulary = read_changed(tiny("mistral"), tmp_path / "t", two)
    assert not vocabulary.add_bos
    assert "puts [INST] <s> before each text" in vocabulary.notes[0]


def test_changes_to_the_text_are_said(tiny, tmp_path):
    def lower(data):
        data["normalizer"] = {
            "type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}],
        }  # fmt: skip

    vocabulary = read_changed(tiny("qwen2"), tmp_path / "t", lower)
    assert "changes texts first (Lowercase)" in vocabulary.notes[0]


def test_white_space_that_llama_cpp_keeps_is_said(tiny, tmp_path):
    def strip(data):
        data["added_tokens"][0]["rstrip"] = True

    vocabulary = read_changed(tiny("phi4"), tmp_path / "t", strip)
    assert not vocabulary.strips
    assert "drops white space" in vocabulary.notes[0]


def test_a_tokenizer_larger_than_the_model_is_refused(tiny, tmp_path):
    with pytest.raises(UserError, match="only 300 embeddings"):
        write_gguf(zeros(tiny("mistral"), 300), tmp_path / "x.gguf", "f16", lambda _: None)
    assert not (tmp_path / "x.gguf").exists()


def test_a_folder_without_tokenizer_json_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        read_vocabulary(tmp_path, {}, 10)


def test_rows_without_a_token_are_named_and_unused(tiny, tiny_gguf):
    reader = gguf.GGUFReader(tiny_gguf("mistral", "f32"))
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    types = reader.fields["tokenizer.ggml.token_type"].contents()
    assert len(tokens) == 480
    assert tokens[-1] == "[PAD479]"
    assert types[-1] == gguf.TokenType.UNUSED
