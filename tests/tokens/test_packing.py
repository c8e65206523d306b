"""Every example is in one row, no row is too long, and little is padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer_core.tokens.packing import fill_rate, pack


@given(st.lists(st.integers(1, 64), max_size=200))
def test_every_example_once_and_no_row_too_long(lengths: list[int]) -> None:
    given_lengths = np.array(lengths, dtype=np.int64)
    bins = pack(given_lengths, 64)
    assert sorted(bins.order.tolist()) == list(range(len(lengths)))
    rows = [bins[row] for row in range(len(bins))]
    assert all(0 < given_lengths[row].sum() <= 64 for row in rows)
    assert sum(len(row) for row in rows) == len(lengths)
    again = pack(given_lengths, 64)
    assert (again.order == bins.order).all()
    # No two rows could have been one: best fit opens a row only where none has room.
    sums = sorted(int(given_lengths[row].sum()) for row in rows)
    assert len(sums) < 2 or sums[0] + sums[1] > 64


def test_little_is_padding() -> None:
    lengths = np.random.default_rng(0).gamma(4, 50, 5000).astype(np.int64).clip(20, 512)
    assert fill_rate(lengths, pack(lengths, 512), 512) > 0.98


def test_an_example_longer_than_a_row() -> None:
    with pytest.raises(ValueError, match="65 tokens"):
        pack(np.array([65]), 64)
