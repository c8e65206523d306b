"""An adapter as GGUF, on its base in llama.cpp, speaks like PEFT's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainer_core.errors import UserError
from trainer_core.export.adapter import Adapter, LoraPair, read_adapter
from trainer_core.export.gguf.llama import LlamaSpeaker
from trainer_core.export.gguf.lora import require_plain_lora, write_lora

IDS = [int(number) for number in np.random.default_rng(1).integers(3, 390, 40)]
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama, q and k are reordered": ("llama3", {"target_modules": [*ATTENTION, "down_proj"]}),
    "rank-stabilised": ("mistral", {"target_modules": ["q_proj", "up_proj"], "use_rslora": True}),
    "ranks and alphas of their own": ("qwen2", {
        "target_modules": ATTENTION, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 24},
    }),
    "the head": ("qwen3", {"target_modules": ["k_proj", "lm_head"]}),
    "fused projections": ("phi3", {"target_modules": ["qkv_proj", "gate_up_proj"]}),
    "gemma": ("gemma3", {"target_modules": ATTENTION}),
}  # fmt: skip


def trained(base: Path, folder: Path, settings: dict[str, Any]) -> np.ndarray:
    """Save an adapter that changes a lot, and give what PEFT's model says: [ids, vocabulary]."""
    import peft
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float32, attn_implementation="eager"
    )
    model = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, **settings))
    rng = np.random.default_rng(2)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = torch.from_numpy(rng.standard_normal(weight.shape) * 0.2).float()
    model.save_pretrained(folder, save_embedding_layers=False)
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0].numpy()


@pytest.mark.parametrize("case", CASES)
def test_an_adapter_speaks_like_pefts(case, tiny, tiny_gguf, tmp_path):
    name, settings = CASES[case]
    expected = trained(tiny(name), tmp_path / "adapter", settings)
    config = json.loads((tiny(name) / "config.json").read_text(encoding="utf-8"))
    target = tmp_path / "lora.gguf"
    write_lora(read_adapter(tmp_path / "adapter"), config, target, "f32")
    base = tiny_gguf(name, "f32")
    with LlamaSpeaker(base, lora=target, context=64) as speaker:
        found = speaker.logits(IDS)
    with LlamaSpeaker(base, context=64) as speaker:
        untrained = speaker.logits(IDS)
    assert np.abs(untrained - expected).max() > 1
    # llama.cpp looks Gemma's activation up in a table of half precision.
    assert np.abs(found - expected).max() < (2e-2 if name == "gemma3" else 5e-4)


def adapter_of(pairs: dict[str, LoraPair], **whole: torch.Tensor) -> Adapter:
    return Adapter(Path("a"), "base", pairs, whole)


def pair(magnitude: torch.Tensor | None = None) -> LoraPair:
    return LoraPair(torch.ones(2, 64), torch.ones(64, 2), 2.0, magnitude)


@pytest.mark.parametrize(
    ("adapter", "why"),
    [
        (adapter_of({"model.layers.0.mlp.up_proj.weight": pair(torch.ones(64))}), "DoRA"),
        (adapter_of({}, **{"lm_head.weight": torch.ones(2)}), "whole tensors"),
        (adapter_of({"model.embed_tokens.weight": pair()}), "embeddings"),
        (adapter_of({}), "empty"),
    ],
)
def test_what_llama_cpp_cannot_add_is_refused(adapter, why):
    with pytest.raises(UserError, match=why):
        require_plain_lora(adapter)


@pytest.mark.parametrize("module", ["lm_head", "model.layers.0.mlp.experts"])
def test_an_adapter_for_what_the_base_has_not_is_refused(module, tiny, tmp_path):
    config = json.loads((tiny("llama3") / "config.json").read_text(encoding="utf-8"))
    with pytest.raises(UserError):
        write_lora(adapter_of({f"{module}.weight": pair()}), config, tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()
