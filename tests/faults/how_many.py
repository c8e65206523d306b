"""How often a fault is tried: a few times with all other tests, as often as promised by
`make faults` (BACKPROP_FAULTS=whole)."""

import os

WHOLE = os.environ.get("BACKPROP_FAULTS") == "whole"


def times(short: int, whole: int) -> int:
    """`short` in a normal run of the tests, `whole` by `make faults`."""
    return whole if WHOLE else short
