"""What a model still knows of what it learnt before: average, backward transfer, forgetting.

With R[i, j] the score of slice j after run i, higher as better, after T runs:
average = mean_j R[T, j]; backward transfer = 1/(T-1) Σ_{j<T} (R[T, j] - R[j, j]) (Lopez-Paz and
Ranzato 2017, "Gradient Episodic Memory"); forgetting = 1/(T-1) Σ_{j<T} (max_{j<=l<T} R[l, j] -
R[T, j]) (Chaudhry et al. 2018, "Riemannian Walk"). Of a loss, R is its negative; the average is
given as the loss itself.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from trainer_core.runs.multi_run_events import Spread, Summary
from trainer_core.scoring.bootstrap import draws, spread
from trainer_core.scoring.slices import Counts, Floats, SliceScores

Measure = Literal["loss", "accuracy"]


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
    for every run, so that what did not change adds nothing to the width. A slice without trained
    tokens says nothing and is left out.
    """
    count, told = len(rows), _told(rows)
    if not told:
        return Summary(average=Spread(value=math.nan, low=math.nan, high=math.nan))
    scores = {
        j: _scores([row[j] for row in rows], measure, resamples, seed + j) for j in told
    }  # of each slice [runs, 1 + resamples]
    average = spread(np.mean([found[-1] for found in scores.values()], axis=0))
    sign = -1.0 if measure == "loss" else 1.0
    known = {j: sign * found for j, found in scores.items() if j < count - 1}
    if not known:
        return Summary(average=average)
    gained = [found[-1] - found[j] for j, found in known.items()]
    forgotten = [found[j:-1].max(axis=0) - found[-1] for j, found in known.items()]
    return Summary(
        average=average,
        backward=spread(np.mean(gained, axis=0)),
        forgetting=spread(np.mean(forgotten, axis=0)),
    )


def perplexity_ratio(rows: Sequence[Sequence[SliceScores]]) -> float | None:
    """How much more surprised the newest model is by a slice than the model was just after learning
    it, at worst: exp(L[T, j] - L[j, j]). None after the first run."""
    before = [j for j in _told(rows) if j < len(rows) - 1]
    if not before:
        return None
    growth = [rows[-1][j].score.loss - rows[j][j].score.loss for j in before]
    return math.exp(min(max(growth), 700.0))


def _told(rows: Sequence[Sequence[SliceScores]]) -> list[int]:
    """The slices of the runs so far that have trained tokens."""
    return [j for j in range(len(rows)) if rows[-1][j].tokens.any()]


def _scores(runs: list[SliceScores], measure: Measure, resamples: int, seed: int) -> Floats:
    """The score of one slice after each run: as it is, then of each resample of its rows,
    [runs, 1 + resamples]."""
    tokens = runs[0].tokens
    values = [run.losses if measure == "loss" else run.correct for run in runs]
    found = [_means(drawn, values, tokens) for drawn in draws(len(tokens), resamples, seed)]
    return np.concatenate(found, axis=1)


def _means(draws: Floats, values: list[Any], tokens: Counts) -> Floats:
    """Of each run, per trained token of the rows drawn; NaN where those have none."""
    with np.errstate(invalid="ignore"):
        return np.stack([draws @ value / (draws @ tokens) for value in values])
