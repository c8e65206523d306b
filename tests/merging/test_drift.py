"""How far an adapter moved is what the whole matrices say, and zero where nothing changed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.merging.adapters import PLACE, RANKS, SAVED_WHOLE, SEEDS, SHAPES, adapter, product
from trainer_core.merging.drift import by_layer, drift


@settings(max_examples=30)
@given(seed=SEEDS, rank=RANKS, scale=st.sampled_from([1.0, 0.25, 4.0]), half=st.booleans())
def test_drift_is_that_of_the_whole_matrices(
    seed: int, rank: int, scale: float, half: bool
) -> None:
    dtype = torch.bfloat16 if half else torch.float32
    before, after = (adapter(seed + n, rank, dtype=dtype) for n in (0, 1))
    found = drift(before, after, scale)
    assert found.keys() == SHAPES.keys()
    for module, (change, size) in found.items():
        old, new = product(before, module), product(after, module)
        assert change == pytest.approx(scale * float((new - old).norm()), rel=1e-9)
        assert size == pytest.approx(scale * float(old.norm()), rel=1e-9)


@settings(max_examples=20)
@given(seed=SEEDS, rank=RANKS)
def test_little_is_told_from_nothing(seed: int, rank: int) -> None:
    before = adapter(seed, rank)
    assert all(change == 0 for change, _ in drift(before, before).values())
    nudged = {key: t if key == SAVED_WHOLE else t * (1 + 2e-7) for key, t in before.items()}
    for module, (change, size) in drift(before, nudged).items():
        exact = float((product(nudged, module) - product(before, module)).norm())
        assert change == pytest.approx(exact, rel=1e-6)
        assert change < 1e-6 * size


def test_layers_come_in_order_and_the_rest_last() -> None:
    modules = {
        f"{PLACE}.embed_tokens": (1.0, 4.0),
        f"{PLACE}.layers.10.mlp.experts.3.up_proj": (3.0, 0.0),
        f"{PLACE}.layers.2.self_attn.q_proj": (3.0, 6.0),
        f"{PLACE}.layers.2.mlp.up_proj": (4.0, 8.0),
        f"{PLACE}.layers.0.mlp.up_proj": (0.0, 0.0),
    }
    shares = by_layer(modules)
    assert list(shares) == ["0", "2", "10", "other"]
    assert shares == pytest.approx({"0": 0.0, "2": 0.5, "10": 1.0, "other": 0.25})


def test_adapters_of_another_shape_have_no_drift() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        drift(adapter(1, 3), adapter(1, 4))
