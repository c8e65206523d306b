"""What a start and a merge do not hang on: the signs a QR chooses, who draws at random, and whether
an adapter still trains."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from transformers import AutoModelForCausalLM

from tests.merging.adapters import RANKS, SEEDS, SHAPES, adapter, keys
from trainer_core.config.multi_run_section import MergeName
from trainer_core.merging.drift import by_layer, drift
from trainer_core.merging.methods import merge_run, start_of_run

NUMBER = 3


@pytest.mark.parametrize("name", ["slao", "slao-from-merged", "slao-random", "slao-keep-function"])
@settings(max_examples=10)
@given(seed=SEEDS, rank=RANKS)
def test_a_qr_of_other_signs_gives_the_same_start(name: MergeName, seed: int, rank: int) -> None:
    fine_tuned, merged = adapter(seed, rank), adapter(seed + 1, rank)
    start = start_of_run(name, fine_tuned, merged, seed)
    draw, real = torch.Generator().manual_seed(seed), torch.linalg.qr

    def of_other_signs(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        q, r = real(matrix)
        signs = torch.randint(0, 2, (len(r),), generator=draw) * 2.0 - 1
        return q * signs, r * signs[:, None]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.linalg, "qr", of_other_signs)
        again = start_of_run(name, fine_tuned, merged, seed)
    for key, tensor in start.items():
        torch.testing.assert_close(again[key], tensor, rtol=0, atol=1e-6)


@settings(max_examples=20)
@given(seed=SEEDS, rank=RANKS, row=st.integers(0, 6))
def test_a_row_of_a_turned_round_turns_that_row_of_the_start_alone(
    seed: int, rank: int, row: int
) -> None:
    fine_tuned = adapter(seed, rank)
    signs = torch.ones(rank, 1)
    signs[row % rank] = -1
    turned = {key: tensor * signs if "_A" in key else tensor for key, tensor in fine_tuned.items()}
    start, other = (start_of_run("slao", state, state, 0) for state in (fine_tuned, turned))
    for module in SHAPES:
        a, turned_a = (state[keys(module)[0]] for state in (start, other))
        torch.testing.assert_close(turned_a, a * signs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["slao", "slao-keep-function", "slao-merge-a", "linear", "svd"])
@pytest.mark.parametrize("other", ["ties", "dare-linear", "dare-ties", "slao-random"])
def test_adapters_that_still_train_are_not_written_to(name: MergeName, other: MergeName) -> None:
    """A version goes up with each write in place, also with one that is taken back."""
    states = [adapter(1), adapter(2)]
    for state in states:
        for tensor in state.values():
            tensor.requires_grad_()
    versions = [tensor._version for state in states for tensor in state.values()]
    for method in (name, other):
        for result in (
            merge_run(method, states[1], states[0], NUMBER),
            start_of_run(method, states[0], states[1], 0),
        ):
            assert not any(tensor.requires_grad for tensor in result.values())
    assert [tensor._version for state in states for tensor in state.values()] == versions


@pytest.mark.parametrize(("name", "whole"), [("dare-linear", 1), ("dare-ties", 2)])
def test_dare_is_pefts_where_both_draw_the_same(
    demo: Path, monkeypatch: pytest.MonkeyPatch, name: MergeName, whole: int
) -> None:
    """PEFT draws one after another for all modules, and here each module has a seed of its own. So
    chance is replaced by a pattern, another one for the old adapter than for the new. PEFT takes
    the square root of each weight on either side, hence the squares; those of TIES's means sum to
    two before it."""
    torch.manual_seed(5)
    base = AutoModelForCausalLM.from_pretrained(demo / "base", dtype=torch.float32)
    config = LoraConfig(r=4, lora_alpha=4, target_modules=["q_proj", "down_proj"])
    model: Any = get_peft_model(base, config, adapter_name="old")
    model.add_adapter("new", config)
    for part, parameter in model.named_parameters():
        if "lora_" in part:
            parameter.data = 0.1 * torch.randn_like(parameter)
    old, new = (
        {key: t.clone() for key, t in get_peft_model_state_dict(model, adapter_name=of).items()}
        for of in ("old", "new")
    )
    calls = 0

    def pattern(chances: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        assert (chances == 0.4).all()
        places = torch.arange(chances.numel()).reshape(chances.shape)
        return ((places + calls % 2) % 3 > 0).to(chances.dtype)

    monkeypatch.setattr(torch, "bernoulli", pattern)
    weights = [(whole * (1 - 1 / NUMBER)) ** 2, (whole / NUMBER) ** 2]
    kind = name.replace("-", "_")
    model.add_weighted_adapter(["old", "new"], weights, "both", kind, density=0.4)
    theirs = get_peft_model_state_dict(model, adapter_name="both")
    assert calls % 2 == 0
    ours = merge_run(name, old, new, NUMBER, density=0.4)
    assert ours.keys() == theirs.keys()
    for key, tensor in theirs.items():
        torch.testing.assert_close(ours[key], tensor, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["ties", "dare-linear", "dare-ties"])
def test_merging_leaves_the_chance_of_the_training_as_it_was(name: MergeName) -> None:
    torch.manual_seed(11)
    undisturbed = torch.rand(4)
    torch.manual_seed(11)
    first = merge_run(name, adapter(1), adapter(2), NUMBER, seed=3)
    assert torch.equal(torch.rand(4), undisturbed)
    again = merge_run(name, adapter(1), adapter(2), NUMBER, seed=3)
    assert all(torch.equal(again[key], tensor) for key, tensor in first.items())


def test_a_first_run_changed_all_of_every_layer() -> None:
    """B is zero before it, so there is nothing that the change could be a share of."""
    after = adapter(1)
    before = {key: torch.zeros_like(t) if "_B" in key else t for key, t in after.items()}
    assert by_layer(drift(before, after)) == {"0": 1.0, "1": 1.0, "other": 1.0}
    assert by_layer(drift(before, before)) == {"0": 0.0, "1": 0.0, "other": 0.0}
