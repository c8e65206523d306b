"""Merged weights are PEFT's own, whatever the adapter is, read a few rows at a time."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from trainer_core.config.export_section import ExportRequest
from trainer_core.errors import StoppedError, UserError
from trainer_core.export import merged as merged_module
from trainer_core.export.adapter import read_adapter
from trainer_core.export.merge import MergedWeights
from trainer_core.export.merged import write_merged
from trainer_core.export.model import ExportModel
from trainer_core.export.source import find_source
from trainer_core.export.weights import SafetensorsFolder, Weights

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "patterns": {
        "rank_pattern": {"q_proj": 3, r"layers\.1\.mlp\.up_proj": 7},
        "alpha_pattern": {"v_proj": 5},
    },
    "embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "saved modules": {"modules_to_save": ["norm"]},
}


@pytest.fixture(params=list(KINDS))
def adapter(request: pytest.FixtureRequest, demo: Path, tmp_path: Path) -> tuple[Path, Any]:
    """An adapter as PEFT saves it, with random matrices, and the model that PEFT merges."""
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_pretrained(demo / "base", dtype=torch.float32)
    settings = {"r": 4, "lora_alpha": 12, "target_modules": "all-linear"} | KINDS[request.param]
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            scale = 1.0 if "magnitude" in name else 0.0
            parameter.data = scale * parameter.data + 0.1 * torch.randn_like(parameter)
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter", adapted.merge_and_unload()


def test_merged_rows_are_pefts(adapter: tuple[Path, Any], demo: Path) -> None:
    folder, expected = adapter
    weights = MergedWeights(SafetensorsFolder(demo / "base"), read_adapter(folder))
    state = expected.state_dict()
    for name, facts in weights.tensors.items():
        third = max(1, facts.rows // 3)
        rows = [
            weights.rows(name, start, min(start + third, facts.rows))
            for start in range(0, facts.rows, third)
        ]
        torch.testing.assert_close(torch.cat(rows), state[name], rtol=1e-5, atol=1e-6)


def export_model(weights: Weights, base: Path) -> ExportModel:
    """A model about to be written, with the base's config and tokenizer."""
    config = json.loads((base / "config.json").read_text())
    return ExportModel("tiny", weights, config, base, "{{ messages }}")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_merged_folder_opens_in_transformers(
    dtype: str, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merged_module, "SHARD", 200_000)
    base, told = demo / "base", []
    model = export_model(SafetensorsFolder(base), base)
    write_merged(model, base, tmp_path / "merged", dtype, told.append)

    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype="auto")
    assert str(opened.dtype) == f"torch.{dtype}"
    original = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).state_dict()
    for name, tensor in opened.state_dict().items():
        assert torch.equal(tensor, original[name].to(tensor.dtype)), name
    assert len(list((tmp_path / "merged").glob("model-0*.safetensors"))) > 1
    assert (tmp_path / "merged" / "chat_template.jinja").read_text() == "{{ messages }}"
    assert told == sorted(told)
    assert told[-1] == model.size


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"target_modules": ["q_proj", "lm_head"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    ],
)
def test_an_adapter_on_one_of_two_tied_tensors_unties_them(
    settings: dict[str, Any], demo: Path, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    base = AutoModelForCausalLM.from_pretrained(demo / "base", dtype=torch.float32)
    adapted = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=4, **settings))
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    ids = torch.arange(5, 40)[None]
    with torch.no_grad():
        expected = adapted(ids).logits
    adapted.save_pretrained(tmp_path / "adapter")
    source = find_source(ExportRequest(source=str(tmp_path / "adapter"), formats=["merged"]))
    assert source.base is not None
    write_merged(source.model(), source.base, tmp_path / "m", "float32", lambda done: None)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(merged(ids).logits, expected, rtol=1e-4, atol=1e-4)


def test_whoever_is_told_can_end_it(demo: Path, tmp_path: Path) -> None:
    def stop(done: int) -> None:
        raise StoppedError(f"after {done}")

    base = demo / "base"
    model = export_model(SafetensorsFolder(base), base)
    with pytest.raises(StoppedError):
        write_merged(model, base, tmp_path / "merged", "float32", stop)


def test_an_adapter_of_another_model_is_refused_by_name(
    adapter: tuple[Path, Any], shared: Path
) -> None:
    other = SafetensorsFolder(shared / "models" / "stories260K")
    with pytest.raises(UserError, match="does not fit the base: it changes model"):
        MergedWeights(other, read_adapter(adapter[0]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"peft_type": "IA3"}, "IA3 adapter, and LoRA is known"),
        ({"trainable_token_indices": [1]}, "uses trainable_token_indices"),
        ({"alpha_pattern": {"(a+)+$": 4}}, "a pattern that could take forever"),
    ],
)
def test_adapters_of_other_kinds_are_refused(
    change: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8} | change
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=sentence):
        read_adapter(tmp_path)
