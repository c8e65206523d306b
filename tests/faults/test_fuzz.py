"""Whatever bytes come: what reads them ends in a result or in the error that it promises."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.entries import ENTRIES, WORDS, attempt
from tests.faults.how_many import times

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def drawn(name: str) -> st.SearchStrategy[bytes]:
    """Bytes, JSON of any shape, and pieces of what is expected in any order."""
    words = st.sampled_from(WORDS.get(name, ["{", "}", "[", "]", ",", '"']))
    pieces = st.lists(words | st.text(max_size=6), max_size=12).map("".join)
    return (
        st.binary(max_size=200)
        | VALUES.map(lambda value: json.dumps(value).encode())
        | pieces.map(lambda text: text.encode("utf-8", "surrogatepass"))
    )


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ENTRIES)
def test_only_promised_errors(name: str) -> None:
    @settings(
        max_examples=times(60, 20_000),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
    )
    @given(drawn(name))
    def throw(data: Any) -> None:
        attempt(name, data)

    throw()
