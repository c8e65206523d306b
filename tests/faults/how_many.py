"""How often a fault is tried: a few times with all other tests, as often as promised by
`make faults` (BACKPROP_FAULTS=whole)."""

import os
from collections.abc import Sequence
from typing import TypeVar

WHOLE = os.environ.get("BACKPROP_FAULTS") == "whole"


_Kind = TypeVar("_Kind")


def some(kinds: Sequence[_Kind], every: int) -> Sequence[_Kind]:
    """One of `every` so many kinds in a normal run of the tests, all by `make faults`."""
    return kinds if WHOLE else kinds[::every]


def times(short: int, whole: int) -> int:
    """`short` in a normal run of the tests, `whole` by `make faults`."""
    return whole if WHOLE else short
