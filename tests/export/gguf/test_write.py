"""Refused before anything is written, stopped in the middle, and never much in memory."""

import dataclasses

import pytest
import torch

from tests.export.gguf.reading import keys, tensors
from tests.export.gguf.tiny_models import TINY, opened
from tests.export.gguf.zeros import LLAMA, Zeros, zeros
from trainer_core.errors import StoppedError, UserError
from trainer_core.export.gguf import stream
from trainer_core.export.gguf.architectures import architecture_of
from trainer_core.export.gguf.write import gguf_size, write_gguf
from trainer_core.export.weights import TensorFacts


@pytest.mark.parametrize("name", ["MixtralForCausalLM", "FalconForCausalLM", "\x1b[31mEvil"])
def test_an_unsupported_architecture_is_named_and_nothing_written(name, tiny, tmp_path):
    model = opened(tiny("mistral"))
    model.config["architectures"] = [name]
    with pytest.raises(UserError) as caught:
        write_gguf(model, tmp_path / "x.gguf", "f16", lambda _: None)
    assert name.removeprefix("\x1b[31m") in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert "Qwen3ForCausalLM" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "scaled by dynamic"),
        ({"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}}, "scaled by longrope"),
        ({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "turns 0.5"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0, "attention_factor": 2.0}}, "yarn"),
        ({"num_local_experts": 8}, "mixture of experts"),
        ({"hidden_act": "gelu"}, "hidden_act is gelu"),
        ({"hidden_size": None}, "config.json cannot be used"),
        ({"architectures": ["Qwen2ForCausalLM"], "head_dim": 64}, "do not make its hidden size"),
    ],
)  # fmt: skip
def test_what_would_silently_be_wrong_is_refused(config, why):
    with pytest.raises(UserError, match=why):
        architecture_of(LLAMA | {"vocab_size": 10} | config)


@pytest.mark.parametrize(
    ("name", "config", "why"),
    [
        ("gemma2", {"query_pre_attn_scalar": 100}, "query_pre_attn_scalar"),
        ("gemma2", {"layer_types": ["full_attention"] * 4}, "one layer in 2"),
        ("gemma2", {"attn_logit_softcapping": None}, "cannot be used"),
        ("gemma3", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ("gemma3", {"tie_word_embeddings": False}, "head is not its embeddings"),
    ],
)
def test_a_gemma_that_llama_cpp_would_run_differently_is_refused(name, config, why, tiny):
    with pytest.raises(UserError, match=why):
        architecture_of(opened(tiny(name)).config | config)


def test_a_window_that_llama_cpp_has_not_is_said():
    config = LLAMA | {"vocab_size": 10, "sliding_window": 128}
    assert "the last 128 tokens" in architecture_of(config).notes[0]


def test_old_folders_say_the_same_of_positions(tiny):
    config = opened(tiny("llama3")).config
    old = {key: value for key, value in config.items() if key != "rope_parameters"}
    scaling = dict(config["rope_parameters"])
    old |= {"rope_theta": scaling.pop("rope_theta"), "rope_scaling": scaling}
    new, older = architecture_of(config), architecture_of(old)
    assert older.keys == new.keys
    assert torch.equal(older.tensors["rope_freqs.weight"], new.tensors["rope_freqs.weight"])


def test_a_bias_without_a_place_is_refused(tiny, tmp_path):
    extra = {"model.layers.0.self_attn.o_proj.bias": (32,)}
    config = LLAMA | {"vocab_size": 480, "architectures": ["Qwen3ForCausalLM"], "head_dim": 16}
    model = dataclasses.replace(
        zeros(tiny("qwen3"), 480), config=config, weights=Zeros(480, tensors=extra)
    )
    with pytest.raises(UserError, match=r"no place for model\.layers\.0\.self_attn\.o_proj\.bias"):
        write_gguf(model, tmp_path / "x.gguf", "f16", lambda _: None)


def test_a_quantised_model_is_refused(tiny, tmp_path):
    model = zeros(tiny("mistral"), 480)
    model.weights.tensors["model.norm.weight"] = TensorFacts((32,), torch.uint8)
    with pytest.raises(UserError, match="is quantised"):
        write_gguf(model, tmp_path / "x.gguf", "f16", lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_k_quant_is_not_written_here(tiny, tmp_path):
    with pytest.raises(UserError, match=r"made by llama\.cpp"):
        write_gguf(zeros(tiny("mistral"), 480), tmp_path / "x.gguf", "q4_k_m", lambda _: None)


def test_a_stop_in_the_middle_comes_through(tiny, tmp_path):
    model, heard = opened(tiny("gemma3")), []

    def tell(done):
        heard.append(done)
        if done > model.size / 2:
            raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        write_gguf(model, tmp_path / "x.gguf", "f16", tell)
    assert heard == sorted(heard)
    assert (tmp_path / "x.gguf").stat().st_size < gguf_size(model, "f16")


def test_progress_ends_with_all_that_was_read(tiny, tmp_path):
    model, heard = opened(tiny("qwen2")), []
    write_gguf(model, tmp_path / "x.gguf", "q8_0", heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == model.size


@pytest.mark.parametrize("name", ["llama3", "gemma3"])
def test_blocks_of_a_few_rows_make_the_same_file(name, tiny, tiny_gguf, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK", 1 << 14)
    model = opened(tiny(name))
    asked = []

    class Watched:
        tensors = model.weights.tensors

        def rows(self, name, start, stop):
            rows = model.weights.rows(name, start, stop)
            asked.append(rows.numel() * 4)
            return rows

    watched = dataclasses.replace(model, weights=Watched())
    write_gguf(watched, tmp_path / "x.gguf", "q8_0", lambda _: None)
    assert (tmp_path / "x.gguf").read_bytes() == tiny_gguf(name, "q8_0").read_bytes()
    assert len(asked) > len(model.weights.tensors)
    assert max(asked) <= 1 << 14


@pytest.mark.parametrize("name", TINY)
def test_the_size_is_known_before(name, tiny, tiny_gguf):
    written = tiny_gguf(name, "q8_0").stat().st_size
    assert written <= gguf_size(opened(tiny(name)), "q8_0") < written + 60_000


@pytest.mark.parametrize("prefix", ["model.language_model.", "language_model.model."])
def test_the_text_part_of_a_multimodal_gemma_is_written(prefix, tiny, tiny_gguf, tmp_path):
    text = opened(tiny("gemma3"))
    names = {prefix + name.removeprefix("model."): name for name in text.weights.tensors}

    class Multimodal:
        tensors = {new: text.weights.tensors[name] for new, name in names.items()} | {
            "model.vision_tower.vision_model.post_layernorm.weight": TensorFacts(
                (8,), torch.float32
            )
        }

        def rows(self, name, start, stop):
            return text.weights.rows(names[name], start, stop)

    config = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "text_config": text.config,
        "vision_config": {},
    }
    model = dataclasses.replace(text, weights=Multimodal(), config=config)
    notes = write_gguf(model, tmp_path / "x.gguf", "bf16", lambda _: None)
    assert tensors(tmp_path / "x.gguf") == tensors(tiny_gguf("gemma3", "bf16"))
    assert keys(tmp_path / "x.gguf") == keys(tiny_gguf("gemma3", "bf16"))
    assert "images are left out" in notes[0]
