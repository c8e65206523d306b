"""How sure a mean of rows is: the bootstrap (Efron 1979), rows drawn again and again."""

from collections.abc import Iterator

import numpy as np

from trainer_core.runs.multi_run_events import Spread
from trainer_core.scoring.slices import Floats

INTERVAL = (2.5, 97.5)
RESAMPLES = 2000
# Numbers drawn at once: 128 megabytes of them.
MOST_DRAWN = 1 << 24


def draws(rows: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each row counts, [resamples, rows]: once, then as drawn; some resamples at a time,
    for there may be very many rows."""
    yield np.ones((1, rows))
    generator, at_once = np.random.default_rng(seed), max(1, MOST_DRAWN // rows)
    for done in range(0, resamples, at_once):
        count = min(at_once, resamples - done)
        yield generator.multinomial(rows, np.full(rows, 1 / rows), count).astype(np.float64)


def spread(values: Floats) -> Spread:
    """The first value, and the 95 % interval of the others; one that is no number is left out."""
    finite = values[1:][np.isfinite(values[1:])]
    value = float(values[0])
    if not len(finite):
        return Spread(value=value, low=value, high=value)
    low, high = np.percentile(finite, INTERVAL)
    return Spread(value=value, low=float(low), high=float(high))


def mean(values: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Spread:
    """The mean of `values`, float64 [rows], with its interval. Of the differences of two models on
    the same rows, this is the paired bootstrap."""
    found = [drawn @ values / len(values) for drawn in draws(len(values), resamples, seed)]
    return spread(np.concatenate(found))
