"""Merges that others made: the exact sum cut to the rank, and PEFT's own results."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import AutoModelForCausalLM

from tests.merging.adapters import NUMBERS, RANKS, SEEDS, SHAPES, adapter, keys, product
from trainer_core.config.multi_run_section import MergeName
from trainer_core.merging.methods import merge_run
from trainer_core.merging.state import State

NUMBER = 3


@settings(max_examples=30)
@given(seed=SEEDS, rank=RANKS, number=NUMBERS)
def test_svd_is_the_exact_mean_cut_to_the_rank(seed: int, rank: int, number: int) -> None:
    merged, fine_tuned = adapter(seed, rank), adapter(seed + 1, rank)
    result = merge_run("svd", merged, fine_tuned, number)
    for module in SHAPES:
        old, new = product(merged, module), product(fine_tuned, module)
        left, values, right = torch.linalg.svd((1 - 1 / number) * old + new / number)
        best = left[:, :rank] @ values[:rank].diag() @ right[:rank]
        torch.testing.assert_close(product(result, module), best, rtol=1e-4, atol=1e-5)
        a, b = (result[key] for key in keys(module))
        torch.testing.assert_close((a @ a.T).diagonal(), (b.T @ b).diagonal(), rtol=1e-3, atol=1e-5)


@settings(max_examples=20)
@given(seed=SEEDS, number=NUMBERS)
def test_svd_loses_nothing_of_a_sum_that_has_the_rank(seed: int, number: int) -> None:
    """Both adapters of rank 2 in matrices of rank 4."""
    merged, fine_tuned = (adapter(seed + n, 4, span=2) for n in (0, 1))
    result = merge_run("svd", merged, fine_tuned, number)
    for module in SHAPES:
        mean = (1 - 1 / number) * product(merged, module) + product(fine_tuned, module) / number
        torch.testing.assert_close(product(result, module), mean, rtol=1e-4, atol=1e-6)


def test_svd_fits_a_layer_narrower_than_the_rank() -> None:
    a, b = "model.layers.0.tiny.lora_A.weight", "model.layers.0.tiny.lora_B.weight"
    states = [{a: torch.randn(6, 10), b: torch.randn(2, 6)} for _ in range(2)]
    result = merge_run("svd", *states, 2)
    assert (result[a].shape, result[b].shape) == ((6, 10), (2, 6))
    mean = (states[0][b] @ states[0][a] + states[1][b] @ states[1][a]) / 2
    torch.testing.assert_close(result[b] @ result[a], mean, rtol=1e-4, atol=1e-5)


@settings(max_examples=10)
@given(seed=SEEDS)
def test_linear_is_the_mean_of_all_runs(seed: int) -> None:
    trained = [adapter(seed + n) for n in range(5)]
    merged: State | None = None
    for number, state in enumerate(trained, 1):
        merged = merge_run("linear", merged, state, number)
    assert merged is not None
    for module in SHAPES:
        for key in keys(module):
            mean = torch.stack([state[key] for state in trained]).mean(0)
            torch.testing.assert_close(merged[key], mean, rtol=1e-5, atol=1e-6)


class TwoAdapters:
    """The demo model with two adapters of PEFT's, whose scale is 1."""

    def __init__(self, demo: Path) -> None:
        torch.manual_seed(5)
        base = AutoModelForCausalLM.from_pretrained(demo / "base", dtype=torch.float32)
        config = LoraConfig(r=4, lora_alpha=4, target_modules=["q_proj", "down_proj"])
        self.model: Any = get_peft_model(base, config, adapter_name="old")
        self.model.add_adapter("new", config)
        for name, parameter in self.model.named_parameters():
            if "lora_" in name:
                parameter.data = 0.1 * torch.randn_like(parameter)

    def state(self, name: str) -> State:
        found = get_peft_model_state_dict(self.model, adapter_name=name)
        return {key: tensor.clone() for key, tensor in found.items()}

    def merged_by_peft(self, kind: str, weights: list[float], **more: Any) -> State:
        self.model.add_weighted_adapter(["old", "new"], weights, kind, kind, **more)
        return self.state(kind)


@pytest.fixture(scope="module")
def two(demo: Path) -> TwoAdapters:
    return TwoAdapters(demo)


# PEFT takes the square root of each weight on either side; TIES's means have weights of sum two.
LINEAR = [(1 - 1 / NUMBER) ** 2, (1 / NUMBER) ** 2]
MEANS = [4 * weight for weight in LINEAR]


@pytest.mark.parametrize(("name", "weights"), [("linear", LINEAR), ("ties", MEANS)])
def test_the_result_is_pefts(two: TwoAdapters, name: MergeName, weights: list[float]) -> None:
    more = {} if name == "linear" else {"density": 0.3}
    theirs = two.merged_by_peft(name, weights, **more)
    ours = merge_run(name, two.state("old"), two.state("new"), NUMBER, **more)
    assert ours.keys() == theirs.keys()
    for key, tensor in theirs.items():
        torch.testing.assert_close(ours[key], tensor, rtol=1e-5, atol=1e-7)


def test_what_svd_gives_does_in_the_model_what_pefts_does(two: TwoAdapters) -> None:
    two.merged_by_peft("svd", [1 - 1 / NUMBER, 1 / NUMBER])
    words = torch.arange(1, 40)[None]
    with torch.no_grad():
        two.model.set_adapter("svd")
        theirs = two.model(words).logits
        two.model.set_adapter("new")
        before, state = two.model(words).logits, two.state("new")
        set_peft_model_state_dict(
            two.model, merge_run("svd", two.state("old"), state, NUMBER), adapter_name="new"
        )
        ours = two.model(words).logits
        set_peft_model_state_dict(two.model, state, adapter_name="new")
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(ours, before, atol=1e-2)


def test_ties_keeps_the_share_of_values_that_density_says() -> None:
    """Of each the largest 30 in a hundred; where both keep a value of one sign, the mean."""
    a, b = "m.q_proj.lora_A.weight", "m.q_proj.lora_B.weight"
    draw = torch.Generator().manual_seed(7)
    old, new = (
        {a: torch.rand(4, 25, generator=draw) + 0.1, b: torch.rand(25, 4, generator=draw) + 0.1}
        for _ in range(2)
    )
    result = merge_run("ties", old, new, 2, density=0.3)
    for key in (a, b):
        kept = [state[key] >= state[key].flatten().topk(30).values.min() for state in (old, new)]
        assert torch.equal(result[key] != 0, kept[0] | kept[1])
        both = kept[0] & kept[1]
        mean = (old[key] + new[key]) / 2
        torch.testing.assert_close(result[key][both], mean[both])


@pytest.mark.parametrize("name", ["dare-linear", "dare-ties"])
def test_dare_draws_by_its_seed_alone(name: MergeName) -> None:
    old, new = adapter(1), adapter(2)
    results = []
    for noise, seed, number in ((0, 5, 3), (1, 5, 3), (0, 6, 3), (0, 5, 4)):
        torch.manual_seed(noise)
        results.append(merge_run(name, old, new, number, seed=seed))
    key = keys(next(iter(SHAPES)))[0]
    assert all(torch.equal(results[0][k], results[1][k]) for k in results[0])
    for other in results[2:]:
        assert not torch.equal(results[0][key] == 0, other[key] == 0)
    first, second = (keys(module)[0] for module in SHAPES if module.endswith("q_proj"))
    assert not torch.equal(results[0][first] == 0, results[0][second] == 0)


def test_dare_linear_is_linear_on_average() -> None:
    old, new = adapter(1), adapter(2)
    key = keys(next(iter(SHAPES)))[0]
    draws = torch.stack(
        [merge_run("dare-linear", old, new, 3, density=0.5, seed=s)[key] for s in range(400)]
    )
    mean, error = draws.mean(0), draws.std(0) / math.sqrt(len(draws))
    linear = merge_run("linear", old, new, 3)[key]
    assert ((mean - linear).abs() < 5 * error + 1e-6).all()
