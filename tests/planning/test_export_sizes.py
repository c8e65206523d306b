"""What an export will take, said beforehand, is what it takes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from trainer_core.config.export_section import ExportSection, GgufType
from trainer_core.errors import UserError
from trainer_core.export.gguf.architectures import architecture_of
from trainer_core.planning.export_sizes import (
    HEADROOM,
    Material,
    estimate,
    material,
    room_needed,
    seconds_needed,
)
from trainer_core.planning.facts import facts_of, model_facts
from trainer_core.planning.gguf_sizes import CONVERTED, gguf_bytes
from trainer_core.planning.shape import model_shape

LLAMA_3_8B = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "tie_word_embeddings": False,
}
QWEN_2_5_7B = {
    "model_type": "qwen2",
    "vocab_size": 152064,
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "intermediate_size": 18944,
    "tie_word_embeddings": False,
}
# Gigabytes of the files that are published.
PUBLISHED: list[tuple[dict[str, Any], GgufType, float]] = [
    (LLAMA_3_8B, "f16", 16.07),
    (LLAMA_3_8B, "q8_0", 8.54),
    (LLAMA_3_8B, "q6_k", 6.60),
    (LLAMA_3_8B, "q5_k_m", 5.73),
    (LLAMA_3_8B, "q5_k_s", 5.60),
    (LLAMA_3_8B, "q4_k_m", 4.92),
    (LLAMA_3_8B, "q4_k_s", 4.69),
    (LLAMA_3_8B, "q3_k_l", 4.32),
    (LLAMA_3_8B, "q3_k_m", 4.02),
    (LLAMA_3_8B, "q3_k_s", 3.66),
    (LLAMA_3_8B, "q2_k", 3.18),
    (QWEN_2_5_7B, "f16", 15.24),
    (QWEN_2_5_7B, "q8_0", 8.10),
    (QWEN_2_5_7B, "q6_k", 6.25),
    (QWEN_2_5_7B, "q5_k_m", 5.44),
    (QWEN_2_5_7B, "q4_k_m", 4.68),
    (QWEN_2_5_7B, "q3_k_m", 3.81),
    (QWEN_2_5_7B, "q2_k", 3.02),
]


@pytest.mark.parametrize(("config", "kind", "gigabytes"), PUBLISHED)
def test_a_gguf_is_as_large_as_those_that_are_published(
    config: dict[str, Any], kind: GgufType, gigabytes: float
) -> None:
    shape = model_shape(config)
    assert shape is not None
    assert gguf_bytes(shape, kind) / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_rows_that_blocks_do_not_divide_take_what_llama_cpp_takes_instead() -> None:
    narrow = model_shape({**LLAMA_3_8B, "hidden_size": 32 * 33, "num_attention_heads": 33})
    odd = model_shape({**LLAMA_3_8B, "hidden_size": 31 * 33, "num_attention_heads": 33})
    assert narrow is not None
    assert odd is not None
    assert gguf_bytes(narrow, "q6_k") > gguf_bytes(narrow, "q5_0")
    # Nothing can be quantised but what reads the middle of the MLP.
    assert gguf_bytes(odd, "q8_0") > 0.7 * gguf_bytes(odd, "f16")


def test_the_kinds_of_models_are_those_of_the_converter() -> None:
    with pytest.raises(UserError) as refused:
        architecture_of({"model_type": "none"})
    supported = re.findall(r"\w+For\w+", refused.value.hint)
    kinds = {name: kind for kind, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()}
    assert {kinds[name] for name in supported} == CONVERTED


def of(config: dict[str, Any], **more: Any) -> Material:
    return Material(facts_of(config, "a model"), **more)


def wish(*formats: str, **more: Any) -> ExportSection:
    return ExportSection.model_validate({"formats": list(formats), **more})


def test_each_choice_has_its_own_estimate_in_the_order_asked() -> None:
    known = of(LLAMA_3_8B, adapter=84_000_000, adapter_numbers=21_000_000, tokenizer=9_000_000)
    formats = ("adapter", "adapter-gguf", "merged", "gguf", "onnx")
    found = estimate(known, wish(*formats, quantizations=["q8_0", "q4_k_m", "q6_k"]))
    names = ["adapter", "adapter-gguf", "merged", "gguf q8_0", "gguf q4_k_m", "gguf q6_k", "onnx"]
    assert [one.what for one in found] == names
    sizes = {one.what: one.bytes for one in found}
    assert sizes["adapter"] == 93_000_000
    assert sizes["adapter-gguf"] == 42_000_000
    assert sizes["merged"] == pytest.approx(16.07e9, rel=0.01)
    assert sizes["onnx"] == pytest.approx(32.1e9, rel=0.01)
    beside = {one.what: one.temporary for one in found if one.temporary}
    # The base for the adapter's check, the whole for the first K-quant, merged weights for ONNX.
    assert set(beside) == {"adapter-gguf", "gguf q4_k_m", "onnx"}
    assert all(size == pytest.approx(16.07e9, rel=0.01) for size in beside.values())


def test_the_room_asked_for_is_a_fifth_more_than_all_of_it() -> None:
    found = estimate(of(LLAMA_3_8B), wish("gguf", quantizations=["q8_0", "q4_k_m"]))
    assert room_needed(found) == pytest.approx(HEADROOM * (8.54e9 + 4.92e9 + 16.07e9), rel=0.01)
    assert room_needed([]) == 0
    assert seconds_needed([]) == 0


def test_a_check_takes_time_and_a_larger_model_more() -> None:
    checked = estimate(of(LLAMA_3_8B), wish("merged"))
    unchecked = estimate(of(LLAMA_3_8B), wish("merged", check=False))
    small = estimate(of({**LLAMA_3_8B, "num_hidden_layers": 2}), wish("merged"))
    assert seconds_needed(checked) > seconds_needed(unchecked)
    assert seconds_needed(checked) > seconds_needed(small)


def test_a_model_of_an_unknown_kind_has_no_size() -> None:
    latent = {**LLAMA_3_8B, "kv_lora_rank": 512}
    for known in (Material(None), of(latent)):
        found = estimate(known, wish("merged", "gguf", "onnx"))
        assert [one.bytes for one in found] == [None, None, None]


def test_folders_say_what_they_hold(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    header = json.dumps({"x": {"dtype": "F32", "shape": [4, 8], "data_offsets": [0, 128]}})
    content = len(header).to_bytes(8, "little") + header.encode() + bytes(128)
    (tmp_path / "adapter_model.safetensors").write_bytes(content)
    (tmp_path / "optimizer.safetensors").write_bytes(bytes(10_000))
    known = material(tmp_path, model_facts(demo / "base"), demo / "base")
    assert (known.adapter, known.adapter_numbers) == (len(content), 32)
    assert known.width == 4  # the demo's base is kept in 32 bits
    whole = material(demo / "base", None)
    assert whole.adapter_numbers == 0
    size = (demo / "base" / "model.safetensors").stat().st_size
    assert whole.parameters * 4 == pytest.approx(size, rel=0.01)
