"""What a model still knows of what it learnt before: average, backward transfer, forgetting.

With R[i, j] the score of slice j after run i, higher as better, after T runs:
average = mean_j R[T, j]; backward transfer = 1/(T-1) Σ_{j<T} (R[T, j] - R[j, j]) (Lopez-Paz and
Ranzato 2017, "Gradient Episodic Memory"); forgetting = 1/(T-1) Σ_{j<T} (max_{j<=l<T} R[l, j] -
R[T, j]) (Chaudhry et al. 2018, "Riemannian Walk"). Of a loss, R is its negative; the average is
given as the loss itself.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from trainer_core.runs.multi_run_events import Spread, Summary
from trainer_core.scoring.slices import SliceScores

Floats = npt.NDArray[np.float64]
Measure = Literal["loss", "accuracy"]
INTERVAL = (2.5, 97.5)


def summarise(
    rows: Sequence[Sequence[SliceScores]],
    measure: Measure,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Summary:
    """What is known after the newest run. `rows[i][j]` is slice j after run i + 1; of T rows only
    the first T slices count.

    The 95 % intervals are percentiles over bootstrap resamples of each slice's rows, the same rows
    for every run, so that what did not change adds nothing to the width.
    """
    count = len(rows)
    slices = [_scores([row[j] for row in rows], measure, resamples, seed + j) for j in range(count)]
    scores = np.stack(slices, axis=1)  # [runs, slices, 1 + resamples]
    sign = -1.0 if measure == "loss" else 1.0
    average = _spread(scores[-1].mean(axis=0))
    if count == 1:
        return Summary(average=average)
    known = sign * scores
    now, then = known[-1, :-1], np.stack([known[j, j] for j in range(count - 1)])
    best = np.stack([known[j : count - 1, j].max(axis=0) for j in range(count - 1)])
    return Summary(
        average=average,
        backward=_spread((now - then).mean(axis=0)),
        forgetting=_spread((best - now).mean(axis=0)),
    )


def perplexity_ratio(rows: Sequence[Sequence[SliceScores]]) -> float | None:
    """How much more surprised the newest model is by a slice than the model was just after learning
    it, at worst: exp(L[T, j] - L[j, j]). None after the first run."""
    if len(rows) < 2:
        return None
    growth = [rows[-1][j].score.loss - rows[j][j].score.loss for j in range(len(rows) - 1)]
    return math.exp(min(max(growth), 700.0))


def _scores(runs: list[SliceScores], measure: Measure, resamples: int, seed: int) -> Floats:
    """The score of one slice after each run: as it is, then of each resample of its rows,
    [runs, 1 + resamples]."""
    rows = len(runs[0].tokens)
    draws = np.ones((1, rows))
    if rows:
        drawn = np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), resamples)
        draws = np.concatenate([draws, drawn])
    else:
        draws = np.ones((1 + resamples, 0))
    tokens = draws @ runs[0].tokens
    values = [run.losses if measure == "loss" else run.correct for run in runs]
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.stack([draws @ value / tokens for value in values])
    return found


def _spread(values: Floats) -> Spread:
    """The first value, and the interval of the others; one that is no number is left out."""
    finite = values[1:][np.isfinite(values[1:])]
    value = float(values[0])
    if not len(finite):
        return Spread(value=value, low=value, high=value)
    low, high = np.percentile(finite, INTERVAL)
    return Spread(value=value, low=float(low), high=float(high))
