"""How surprised a model is by what it should say: e to the mean nats of a trained token."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainer_core.reading import finite
from trainer_core.runs.multi_run_events import Spread
from trainer_core.scoring.bootstrap import RESAMPLES, draws, spread
from trainer_core.scoring.compare import PERPLEXITY, Compared
from trainer_core.scoring.slices import Floats

__all__ = ["PERPLEXITY", "Known", "compare_perplexity", "known_of", "perplexity"]

# Of a row: the loss of its trained tokens together, and how many they are.
Known = tuple[float, int]


def known_of(line: Mapping[str, Any]) -> Known | None:
    """How well the model knows a row, by its line of predictions.jsonl; None where it does not
    say."""
    nats, tokens = finite(line.get("nats")), finite(line.get("trained_tokens"))
    return (nats, int(tokens)) if nats is not None and tokens and tokens >= 1 else None


def perplexity(rows: Sequence[Known]) -> Spread:
    """Over all trained tokens of some rows, with its 95 % interval: rows are drawn, not tokens."""
    return spread(_of_draws(rows))


def compare_perplexity(ours: Sequence[Known], theirs: Sequence[Known]) -> Compared:
    """That of two models on the same rows, and their difference (paired bootstrap). Models that
    make other tokens of a row cannot be compared: then there is nobody beside."""
    if [tokens for _, tokens in ours] != [tokens for _, tokens in theirs]:
        return Compared(perplexity(ours))
    mine, others = _of_draws(ours), _of_draws(theirs)
    return Compared(spread(mine), spread(others), spread(mine - others))


def _of_draws(rows: Sequence[Known]) -> Floats:
    """First of all rows, then of each draw of them. Each row has a trained token."""
    nats, tokens = np.array(rows, dtype=np.float64).T
    found = [(drawn @ nats) / (drawn @ tokens) for drawn in draws(len(rows), RESAMPLES, seed=0)]
    # More than that is no number in 64 bits.
    return np.asarray(np.exp(np.minimum(np.concatenate(found), 700.0)))
