"""The check lets through what speaks like the trained model, and nothing else."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from trainer_core.config.export_section import ExportRequest
from trainer_core.export.check import Reference, ask_trained, compare
from trainer_core.export.limits import limits_of
from trainer_core.export.merged import write_merged
from trainer_core.export.prompts import prompts, strings
from trainer_core.export.source import Source, find_source
from trainer_core.export.speaker import Logits
from trainer_core.export.transformers_speaker import TransformersSpeaker, trained_model
from trainer_core.runs.events import Check
from trainer_core.runs.folder import RunFolder

LIMITS = limits_of("f32", other_base=False)


@pytest.fixture
def source(trained: RunFolder) -> Source:
    return find_source(ExportRequest(source=str(trained.path), formats=["merged"]))


@pytest.fixture
def reference(source: Source) -> Reference:
    asked, origin = prompts(source, lambda: None)
    model = trained_model(source)
    texts = [*strings([model.text(ids) for ids in asked]), *model.marks(asked[0])]
    return ask_trained(model, texts, asked, origin, source.template(), lambda done: None)


@pytest.fixture
def merged(source: Source, tmp_path: Path) -> Path:
    """The trained model, merged."""
    assert source.base is not None
    write_merged(source.model(), source.base, tmp_path / "merged", "float32", lambda done: None)
    return tmp_path / "merged"


def check(reference: Reference, folder: Path) -> Check:
    return compare(reference, TransformersSpeaker(folder, folder), LIMITS, lambda done: None)


def test_the_prompts_are_what_comes_before_validation_answers(source: Source) -> None:
    asked, origin = prompts(source, lambda: None)
    assert origin == "validation examples"
    assert len(asked) == 6
    assert all(ids == ids[:192] and len(ids) > 4 for ids in asked)


def test_what_was_merged_rightly_passes(reference: Reference, merged: Path) -> None:
    found = check(reference, merged)
    assert found.passed
    values = {measure.name.split(",")[0]: measure.value for measure in found.measures}
    assert values["strings with the same tokens"] == len(reference.tokens) > 50
    assert found.measures[1].value < 1e-6
    assert all(spoken.trained == spoken.exported for spoken in found.spoken)
    assert any(spoken.trained for spoken in found.spoken)


def test_the_base_alone_is_not_the_trained_model(
    reference: Reference, merged: Path, demo: Path
) -> None:
    found = check(reference, demo / "base")
    assert not found.passed
    assert {measure.name: measure.passed for measure in found.measures}[
        "divergence in nats, mean"
    ] is False


def source_heads(folder: Path) -> int:
    """Attention heads, as the model's config has them."""
    return int(json.loads((folder / "config.json").read_text())["num_attention_heads"])


def test_weights_in_a_wrong_order_are_found(reference: Reference, merged: Path) -> None:
    path = merged / "model.safetensors"
    weights = load_file(path)
    name = "model.layers.1.self_attn.q_proj.weight"
    # As a converter does that interleaves the halves of each head where it should not.
    width, heads = weights[name].shape[1], source_heads(merged)
    halves = weights[name].reshape(heads, 2, -1, width)
    weights[name] = halves.swapaxes(1, 2).reshape(-1, width).contiguous()
    save_file(weights, path, metadata={"format": "pt"})
    assert not check(reference, merged).passed


def test_another_tokenizer_is_named_with_the_string(
    reference: Reference, merged: Path, shared: Path
) -> None:
    other = shared / "tokenizers" / "qwen2"
    speaker = TransformersSpeaker(merged, other)
    found = compare(reference, speaker, LIMITS, lambda done: None)
    assert not found.passed
    assert "into other tokens" in found.differs


def test_a_mark_that_is_plain_text_to_the_exported_tokenizer_is_named(
    reference: Reference, merged: Path
) -> None:
    path = merged / "tokenizer.json"
    data = json.loads(path.read_text())
    data["added_tokens"] = [t for t in data["added_tokens"] if t["content"] != "<|im_end|>"]
    path.write_text(json.dumps(data))
    found = check(reference, merged)
    assert not found.passed
    assert "'<|im_end|>' into other tokens" in found.differs


@pytest.mark.parametrize("template", ["{{ messages }}", None])
def test_another_chat_template_is_named(
    template: str | None, reference: Reference, merged: Path
) -> None:
    path = merged / "chat_template.jinja"
    path.unlink()
    if template is not None:
        path.write_text(template)
    assert "its chat template is not that of the training" in check(reference, merged).differs


class _Broken:
    """A runtime whose numbers are no numbers."""

    runtime = "broken"

    def __init__(self, reference: Reference, fill: float) -> None:
        self._reference = reference
        self._fill = fill

    def tokens(self, text: str) -> list[int]:
        return self._reference.tokens[text]

    def logits(self, ids: Sequence[int]) -> Logits:
        return np.full((len(ids), 512), self._fill, dtype=np.float32)

    def answer(self, ids: Sequence[int], count: int) -> list[int]:
        return [5] * count

    def template(self) -> str | None:
        return self._reference.template

    def close(self) -> None:
        pass


@pytest.mark.parametrize("fill", [float("nan"), float("inf"), 0.0])
def test_numbers_that_are_none_never_pass(reference: Reference, fill: float) -> None:
    speaker = _Broken(reference, fill)
    assert not compare(reference, speaker, LIMITS, lambda done: None).passed


def test_limits_widen_with_fewer_bits() -> None:
    order = ["f32", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k"]
    means = [limits_of(kind, other_base=False).mean for kind in order]
    assert means == sorted(means)
    plain, moved = limits_of("f16", other_base=False), limits_of("f16", other_base=True)
    assert dataclasses.astuple(moved)[0] > plain.mean
    assert torch.tensor(plain.mean) < 0.01  # nats: nothing that a person could see
