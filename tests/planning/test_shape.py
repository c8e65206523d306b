"""The sizes in a config.json give the number of parameters that the model really has."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer_core.planning.shape import ModelShape, model_shape

QWEN_2_5 = {"model_type": "qwen2", "vocab_size": 152064, "tie_word_embeddings": False}
QWEN_3 = {"model_type": "qwen3", "vocab_size": 151936, "head_dim": 128, "num_key_value_heads": 8}
LLAMA = {"model_type": "llama", "vocab_size": 128256, "num_key_value_heads": 8}


def config(
    family: dict[str, Any], hidden: int, layers: int, heads: int, middle: int, **more: Any
) -> dict[str, Any]:
    return {
        **family,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": middle,
        **more,
    }


UNTIED = {"tie_word_embeddings": False}
LLAMA_3_8B = config(LLAMA, 4096, 32, 32, 14336, **UNTIED)
PHI_4 = config(
    {"model_type": "phi3", "vocab_size": 100352, "num_key_value_heads": 10, **UNTIED},
    *(5120, 40, 40, 17920),
)
MODELS = {
    "Qwen2.5-3B": (
        config(QWEN_2_5, 2048, 36, 16, 11008, num_key_value_heads=2)
        | {"tie_word_embeddings": True, "vocab_size": 151936},
        3.09e9,
    ),
    "Qwen2.5-7B": (config(QWEN_2_5, 3584, 28, 28, 18944, num_key_value_heads=4), 7.62e9),
    "Qwen3-0.6B": (config(QWEN_3, 1024, 28, 16, 3072), 0.596e9),
    "Qwen3-1.7B": (config(QWEN_3, 2048, 28, 16, 6144), 1.72e9),
    "Qwen3-4B": (config(QWEN_3, 2560, 36, 32, 9728), 4.02e9),
    "Qwen3-8B": (config(QWEN_3, 4096, 36, 32, 12288, **UNTIED), 8.19e9),
    "Qwen3-14B": (config(QWEN_3, 5120, 40, 40, 17408, **UNTIED), 14.77e9),
    "Qwen3-32B": (config(QWEN_3, 5120, 64, 64, 25600, **UNTIED), 32.76e9),
    "Qwen3-30B-A3B": (
        config(
            QWEN_3 | {"model_type": "qwen3_moe", "num_key_value_heads": 4},
            *(2048, 48, 32, 6144),
            num_experts=128,
            num_experts_per_tok=8,
            moe_intermediate_size=768,
            **UNTIED,
        ),
        30.5e9,
    ),
    "Llama-3.2-1B": (config(LLAMA, 2048, 16, 32, 8192, head_dim=64), 1.236e9),
    "Llama-3.2-3B": (config(LLAMA, 3072, 28, 24, 8192, head_dim=128), 3.213e9),
    "Llama-3.1-8B": (LLAMA_3_8B, 8.03e9),
    "Llama-2-7B": (
        config({"model_type": "llama", "vocab_size": 32000, **UNTIED}, 4096, 32, 32, 11008),
        6.74e9,
    ),
    "Mistral-7B": (
        config({"model_type": "mistral", "vocab_size": 32000, **UNTIED}, 4096, 32, 32, 14336)
        | {"num_key_value_heads": 8, "head_dim": None},
        7.25e9,
    ),
    "Phi-4": (PHI_4, 14.66e9),
    "GPT-2": (
        {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257},
        0.1244e9,
    ),
}


def shape_of(config: dict[str, Any]) -> ModelShape:
    shape = model_shape(config)
    assert shape is not None
    return shape


@pytest.mark.parametrize("name", MODELS)
def test_known_models_have_as_many_parameters_as_they_say(name: str) -> None:
    config, parameters = MODELS[name]
    assert shape_of(config).parameters == pytest.approx(parameters, rel=0.01)


def parameters_in(folder: Path) -> int:
    """Counted in the header of the weights' file."""
    with (folder / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(t["shape"]) for name, t in header.items() if name != "__metadata__")


def test_the_demo_model_exactly(demo: Path) -> None:
    base = demo / "base"
    shape = shape_of(json.loads((base / "config.json").read_text()))
    assert shape.parameters == parameters_in(base)


def test_a_published_tiny_model_exactly(shared: Path) -> None:
    folder = shared / "models" / "stories260K"
    shape = shape_of(json.loads((folder / "config.json").read_text()))
    assert shape.parameters == parameters_in(folder)


def test_lora_parameters_are_those_that_peft_makes() -> None:
    shape = shape_of(LLAMA_3_8B)
    # PEFT says: trainable params: 83,886,080 (r=32), and 6,815,744 for q_proj and v_proj at r=16.
    assert shape.lora_parameters(32, "all-linear") == 83_886_080
    assert shape.lora_parameters(16, ["q_proj", "v_proj"]) == 6_815_744
    every = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert shape.lora_parameters(32, every) == 83_886_080
    assert shape.lora_parameters(8, [*every, "no_such_module"]) == 83_886_080 // 4
    assert shape.lora_parameters(8, ["lm_head"]) == 8 * (4096 + 128256)


def test_fused_layers_have_one_adapter_for_all_parts() -> None:
    shape = shape_of(PHI_4)
    query, both = 5120, 2 * 10 * 128
    assert shape.lora_parameters(16, ["qkv_proj"]) == 16 * 40 * (5120 + query + both)
    assert shape.lora_parameters(16, ["gate_up_proj"]) == 16 * 40 * (5120 + 2 * 17920)
    assert shape.lora_parameters(16, ["q_proj", "gate_proj"]) == 0


def test_a_vision_models_text_part_is_read() -> None:
    inner = {**LLAMA_3_8B, "model_type": "mllama_text_model"}
    shape = shape_of({"model_type": "mllama", "text_config": inner})
    assert (shape.model_type, shape.layers) == ("mllama_text_model", 32)


@pytest.mark.parametrize("missing", sorted(LLAMA_3_8B.keys() - {"tie_word_embeddings"}))
def test_other_families_defaults_stand_in_for_what_is_optional(missing: str) -> None:
    shape = model_shape({name: v for name, v in LLAMA_3_8B.items() if name != missing})
    if missing in ("num_key_value_heads", "intermediate_size"):
        assert shape is not None
    else:
        assert shape is None


@pytest.mark.parametrize("bad", [0, -1, 2**31, 2**200, 1.5, True, "4096", [1], {}, float("nan")])
@pytest.mark.parametrize("name", ["hidden_size", "num_hidden_layers", "head_dim", "num_experts"])
def test_what_is_no_size_gives_no_shape(name: str, bad: object) -> None:
    assert model_shape({**LLAMA_3_8B, name: bad}) is None


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys([*LLAMA_3_8B, "text_config", "n_embd", "head_dim"], ANY)
    )
)
def test_any_content_gives_a_shape_or_none(content: dict[str, Any]) -> None:
    shape = model_shape(content)
    assert shape is None or shape.parameters > 0
