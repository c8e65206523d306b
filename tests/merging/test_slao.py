"""SLAO does what its paper says, whatever the adapter: a start with orthonormal A, no column lost,
and a merged B that is a known mean of all that were trained."""

import math
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.merging.adapters import (
    NUMBERS,
    RANKS,
    SAVED_WHOLE,
    SEEDS,
    SHAPES,
    adapter,
    keys,
    product,
)
from trainer_core.config.multi_run_section import MergeName
from trainer_core.merging.methods import merge_run, start_of_run
from trainer_core.merging.state import State, pairs_of

NAMES: tuple[Any, ...] = get_args(MergeName)
ORTHONORMAL = ["slao", "slao-merge-a", "slao-from-merged", "slao-keep-function", "slao-random"]
EXACT: dict[str, float] = {"rtol": 0, "atol": 0}


@pytest.mark.parametrize("name", ORTHONORMAL)
@settings(max_examples=20)
@given(seed=SEEDS, rank=RANKS, span=st.integers(0, 7))
def test_a_run_starts_with_orthonormal_rows_of_a(
    name: MergeName, seed: int, rank: int, span: int
) -> None:
    """Where the rows of A depend on each other too, which makes zeros on R's diagonal: none of
    the start's rows may be deleted by them."""
    fine_tuned, merged = (adapter(seed + n, rank, span=min(span, rank)) for n in (0, 1))
    start = start_of_run(name, fine_tuned, merged, seed)
    for module in SHAPES:
        a = start[keys(module)[0]]
        torch.testing.assert_close(a @ a.T, torch.eye(rank), rtol=0, atol=1e-5)


@settings(max_examples=30)
@given(seed=SEEDS, rank=RANKS)
def test_a_start_spans_what_was_trained_and_points_as_it_did(seed: int, rank: int) -> None:
    """R = start Aᵀ is upper triangular with nothing negative on its diagonal, and the start times
    it gives A back."""
    fine_tuned = adapter(seed, rank)
    start = start_of_run("slao", fine_tuned, adapter(seed + 1, rank), seed)
    for module in SHAPES:
        key_a, key_b = keys(module)
        r = start[key_a] @ fine_tuned[key_a].T
        torch.testing.assert_close(r.tril(-1), torch.zeros(rank, rank), rtol=0, atol=1e-5)
        assert (r.diagonal() >= 0).all()
        torch.testing.assert_close(r.T @ start[key_a], fine_tuned[key_a], rtol=0, atol=1e-5)
        torch.testing.assert_close(start[key_b], fine_tuned[key_b], **EXACT)


def test_each_start_is_of_the_adapter_it_should_be_of() -> None:
    fine_tuned, merged = adapter(1), adapter(2)
    starts = {name: start_of_run(name, fine_tuned, merged, 3) for name in NAMES}
    for module in SHAPES:
        key_a, key_b = keys(module)
        slao = starts["slao"]
        of_merged = start_of_run("slao", merged, fine_tuned, 3)
        for key in (key_a, key_b):
            torch.testing.assert_close(starts["slao-from-merged"][key], of_merged[key], **EXACT)
            torch.testing.assert_close(starts["slao-merge-a"][key], slao[key], **EXACT)
            for name in ("none", "slao-without-qr", "linear", "svd", "ties", "dare-ties"):
                torch.testing.assert_close(starts[name][key], fine_tuned[key], **EXACT)
        torch.testing.assert_close(starts["slao-keep-function"][key_a], slao[key_a], **EXACT)
        assert not torch.allclose(product(slao, module), product(fine_tuned, module), atol=1e-2)
        assert not starts["slao-random"][key_b].any()
    assert all(
        torch.equal(start[SAVED_WHOLE], fine_tuned[SAVED_WHOLE]) for start in starts.values()
    )


def test_a_random_start_is_the_same_for_a_seed_and_another_in_each_module_and_run() -> None:
    fine_tuned = adapter(1)
    turned = dict(reversed(fine_tuned.items()))
    start, again = (start_of_run("slao-random", state, state, 3) for state in (fine_tuned, turned))
    first, other = (keys(module)[0] for module in SHAPES if module.endswith("q_proj"))
    assert torch.equal(start[first], again[first])
    assert not torch.equal(start[first], start[other])
    assert not torch.equal(start[first], start_of_run("slao-random", turned, turned, 4)[first])


@settings(max_examples=30)
@given(seed=SEEDS, rank=RANKS, span=st.integers(1, 7))
def test_the_experiment_keeps_what_the_adapter_does(seed: int, rank: int, span: int) -> None:
    fine_tuned = adapter(seed, rank, span=min(span, rank))
    start = start_of_run("slao-keep-function", fine_tuned, adapter(seed + 1, rank), seed)
    for module in SHAPES:
        was = product(fine_tuned, module)
        torch.testing.assert_close(product(start, module), was, rtol=1e-4, atol=1e-5)


@settings(max_examples=20)
@given(seed=SEEDS, runs=st.integers(1, 8))
def test_the_merged_b_is_the_running_average_in_closed_form(seed: int, runs: int) -> None:
    """After n runs, run k counts 1/sqrt(k) times (1 - 1/sqrt(j)) for each j after it."""
    trained = [adapter(seed + n) for n in range(runs)]
    merged = merged_a = None
    for number, state in enumerate(trained, 1):
        merged = merge_run("slao", merged, state, number)
        merged_a = merge_run("slao-merge-a", merged_a, state, number)
    assert merged is not None
    assert merged_a is not None
    weights = [
        math.prod([1 - 1 / math.sqrt(j) for j in range(k + 1, runs + 1)], start=1 / math.sqrt(k))
        for k in range(1, runs + 1)
    ]
    assert sum(weights) == pytest.approx(1)
    for module in SHAPES:
        key_a, key_b = keys(module)
        for key in (key_a, key_b):
            mean = sum(w * state[key] for w, state in zip(weights, trained, strict=True))
            torch.testing.assert_close(merged_a[key], mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(merged[key_b], merged_a[key_b], **EXACT)
        torch.testing.assert_close(merged[key_a], trained[-1][key_a], **EXACT)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_run_is_merged_with_nothing(name: MergeName) -> None:
    fine_tuned, other = adapter(1, dtype=torch.bfloat16), adapter(2)
    for merged in (merge_run(name, other, fine_tuned, 1), merge_run(name, None, fine_tuned, 3)):
        assert list(merged) == list(fine_tuned)
        for key, tensor in merged.items():
            assert tensor.dtype == torch.float32
            torch.testing.assert_close(tensor, fine_tuned[key].float(), **EXACT)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(seed=SEEDS, rank=st.integers(1, 10), number=NUMBERS, half=st.booleans())
def test_names_shapes_and_arguments_stay_as_they_are(
    name: MergeName, seed: int, rank: int, number: int, half: bool
) -> None:
    dtype = torch.bfloat16 if half else torch.float32
    fine_tuned, merged = (adapter(seed + n, rank, dtype=dtype) for n in (0, 1))
    given_states = (fine_tuned, merged)
    kept = [{key: tensor.clone() for key, tensor in state.items()} for state in given_states]
    drawn_before = torch.get_rng_state()
    for result in (
        merge_run(name, merged, fine_tuned, number, seed=seed),
        start_of_run(name, fine_tuned, merged, seed),
    ):
        assert _shapes(result) == _shapes(fine_tuned)
        assert all(t.dtype == torch.float32 and t.isfinite().all() for t in result.values())
        assert torch.equal(result[SAVED_WHOLE], fine_tuned[SAVED_WHOLE].float())
    assert torch.equal(torch.get_rng_state(), drawn_before)
    for state, before in zip(given_states, kept, strict=True):
        assert all(torch.equal(state[key], before[key]) for key in before)


@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_may_be_merged_part_by_part_in_any_order(name: MergeName) -> None:
    fine_tuned, merged = adapter(1), adapter(2)
    whole = merge_run(name, merged, fine_tuned, 3, seed=5) | {
        f"start {key}": tensor for key, tensor in start_of_run(name, fine_tuned, merged, 5).items()
    }
    for module in reversed(SHAPES):
        old, new = ({key: state[key] for key in keys(module)} for state in (merged, fine_tuned))
        for key, tensor in merge_run(name, old, new, 3, seed=5).items():
            assert torch.equal(tensor, whole[key])
        for key, tensor in start_of_run(name, new, old, 5).items():
            assert torch.equal(tensor, whole[f"start {key}"])


def test_what_does_not_fit_is_refused_and_named() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        merge_run("slao", adapter(1, 3), adapter(2, 4), 2)
    with pytest.raises(ValueError, match="differ in shape"):
        start_of_run("linear", adapter(1, 3), adapter(2, 4), 0)
    with pytest.raises(ValueError, match="a rank of 11 is more than the 10 inputs"):
        start_of_run("slao", adapter(1, 11), adapter(2, 11), 0)
    for half, other in ("AB", "BA"):
        lonely = {key: t for key, t in adapter(1).items() if f"q_proj.lora_{other}" not in key}
        with pytest.raises(ValueError, match=rf"q_proj\.lora_{half}\.weight has no {other}"):
            pairs_of(lonely)


def test_only_matrices_are_pairs() -> None:
    module = next(iter(SHAPES))
    state = adapter(1) | {
        f"{module}.lora_B.bias": torch.zeros(12),
        f"{module}.lora_magnitude_vector": torch.ones(12),
    }
    assert pairs_of(state) == {module: keys(module) for module in SHAPES}


def _shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in state.items()}
