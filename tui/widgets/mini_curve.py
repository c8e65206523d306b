"""A curve in one line of block characters."""

import math
from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"


def mini_curve(values: Sequence[float], width: int) -> str:
    """The finite `values` in at most `width` characters, lowest to highest block."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite or width < 1:
        return ""
    size = max(1, math.ceil(len(finite) / width))
    means = [
        sum(chunk) / len(chunk)
        for chunk in (finite[start : start + size] for start in range(0, len(finite), size))
    ]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(_BLOCKS[round((value - low) / span * (len(_BLOCKS) - 1))] for value in means)
