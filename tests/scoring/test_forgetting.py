"""Average, backward transfer and forgetting, against matrices worked out by hand."""

import json
import math

import numpy as np
import pytest

from trainer_core.runs.multi_run_events import Spread
from trainer_core.scoring import bootstrap
from trainer_core.scoring.forgetting import perplexity_ratio, summarise
from trainer_core.scoring.slices import SliceScores


def slice_of(
    loss: float, accuracy: float = 0.5, rows: int = 10, spread: float = 0.0
) -> SliceScores:
    """Rows of ten trained tokens with this loss and accuracy on average."""
    wobble = spread * np.linspace(-1, 1, rows)
    return SliceScores(
        losses=10 * (loss + wobble),
        correct=np.full(rows, round(10 * accuracy)),
        tokens=np.full(rows, 10),
    )


def rows_of(losses: np.ndarray) -> SliceScores:
    """Rows of ten trained tokens with these mean losses."""
    count = len(losses)
    return SliceScores(10 * losses, np.full(count, 5), np.full(count, 10))


def matrix(losses: list[list[float]], **settings: float) -> list[list[SliceScores]]:
    return [[slice_of(loss, **settings) for loss in row] for row in losses]  # type: ignore[arg-type]


LOSSES = [[1.0, 5.0, 5.0], [1.6, 2.0, 5.0], [1.4, 2.1, 3.0]]


def value(found: Spread | None) -> float:
    assert found is not None
    return found.value


def test_losses_by_hand() -> None:
    summary = summarise(matrix(LOSSES), "loss")
    assert value(summary.average) == pytest.approx((1.4 + 2.1 + 3.0) / 3)
    assert value(summary.backward) == pytest.approx(((1.0 - 1.4) + (2.0 - 2.1)) / 2)
    # The best ever known of the first was 1.0, of the second 2.0.
    assert value(summary.forgetting) == pytest.approx((0.4 + 0.1) / 2)
    assert perplexity_ratio(matrix(LOSSES)) == pytest.approx(math.exp(0.4))


def test_what_got_better_later_is_forgotten_from_its_best() -> None:
    losses = [[2.0, 5.0, 5.0], [1.0, 2.0, 5.0], [1.5, 2.0, 3.0]]
    summary = summarise(matrix(losses), "loss")
    assert value(summary.backward) == pytest.approx(0.5 / 2)
    assert value(summary.forgetting) == pytest.approx(0.5 / 2)


def test_accuracy_counts_the_other_way_round() -> None:
    rows = [
        [slice_of(1, 0.8), slice_of(1, 0.1)],
        [slice_of(1, 0.5), slice_of(1, 0.9)],
    ]
    summary = summarise(rows, "accuracy")
    assert value(summary.average) == pytest.approx(0.7)
    assert value(summary.backward) == pytest.approx(-0.3)
    assert value(summary.forgetting) == pytest.approx(0.3)


def test_after_the_first_run_there_is_nothing_to_forget() -> None:
    summary = summarise(matrix([[1.0, 4.0]]), "loss")
    assert value(summary.average) == 1.0
    assert summary.backward is None
    assert summary.forgetting is None
    assert perplexity_ratio(matrix([[1.0, 4.0]])) is None


def test_the_interval_is_of_the_rows_and_shrinks_with_more() -> None:
    def width(rows: int) -> float:
        losses = matrix(LOSSES, rows=rows, spread=1.0)
        # The rows differ in how much they lose, or nothing would be uncertain.
        losses[2][0] = slice_of(1.4, rows=rows, spread=3.0)
        found = summarise(losses, "loss").forgetting
        assert found is not None
        assert found.low < found.value < found.high
        return found.high - found.low

    assert width(1000) < width(100) / 2 < width(10) / 4


def test_what_did_not_change_is_certain_though_the_rows_differ() -> None:
    same = [[slice_of(1.0, spread=0.9)] * 2, [slice_of(1.0, spread=0.9)] * 2]
    found = summarise(same, "loss").forgetting
    assert found == Spread(value=0.0, low=0.0, high=0.0)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    random, hits, trials = np.random.default_rng(7), 0, 200
    for trial in range(trials):
        # Each row is forgotten by 0.3 on average, and some far more than others.
        before = random.normal(2.0, 1.0, 60)
        after = before + random.normal(0.3, 0.5, 60)
        runs = [[rows_of(before), slice_of(9.0)], [rows_of(after), slice_of(1.0)]]
        found = summarise(runs, "loss", resamples=300, seed=trial).forgetting
        assert found is not None
        hits += found.low <= 0.3 <= found.high
    assert 0.88 < hits / trials < 0.99


def test_a_resample_is_of_the_same_rows_for_every_run() -> None:
    # Rows differ by far more than any of them was forgotten by: unpaired, the interval would be
    # about as wide as they differ.
    before = np.linspace(0, 10, 50)
    runs = [[rows_of(before), slice_of(9.0)], [rows_of(before + 0.2), slice_of(1.0)]]
    found = summarise(runs, "loss").forgetting
    assert found is not None
    assert found.low == pytest.approx(0.2)
    assert found.high == pytest.approx(0.2)


def test_very_many_rows_are_drawn_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = matrix(LOSSES, rows=50, spread=0.5)
    whole = summarise(runs, "loss")
    monkeypatch.setattr(bootstrap, "MOST_DRAWN", 170)
    found = summarise(runs, "loss")
    assert found.average.value == whole.average.value
    assert found.average.low == pytest.approx(whole.average.low)
    assert found.average.high == pytest.approx(whole.average.high)


def test_it_says_the_same_every_time() -> None:
    rows = matrix(LOSSES, rows=7, spread=0.5)
    assert summarise(rows, "loss") == summarise(rows, "loss")


def test_rows_without_trained_tokens_count_nothing() -> None:
    whole = slice_of(1.0, rows=4)
    empty = SliceScores(
        np.append(whole.losses, 0.0), np.append(whole.correct, 0), np.append(whole.tokens, 0)
    )
    assert empty.score == whole.score
    found = summarise([[empty]], "loss").average
    assert found.value == 1.0
    assert math.isfinite(found.low)


def test_a_slice_without_trained_tokens_is_left_out() -> None:
    empty = SliceScores(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    untold = SliceScores(np.zeros(3), np.zeros(3, np.int64), np.zeros(3, np.int64))
    assert math.isnan(empty.score.loss)
    assert math.isnan(untold.score.accuracy)
    for nothing in (empty, untold):
        runs = [[row[0], nothing, row[2]] for row in matrix(LOSSES)]
        summary = summarise(runs, "loss")
        assert value(summary.average) == pytest.approx((1.4 + 3.0) / 2)
        assert value(summary.backward) == pytest.approx(-0.4)
        assert value(summary.forgetting) == pytest.approx(0.4)
        assert perplexity_ratio(runs) == pytest.approx(math.exp(0.4))
    for runs in ([[empty]], [[empty, slice_of(9.0)], [empty, slice_of(1.0)]]):
        assert summarise(runs, "loss").forgetting is None
        assert perplexity_ratio(runs) is None


def test_scores_come_back_from_json_to_the_last_bit() -> None:
    scores = SliceScores(np.array([0.1 + 0.2, 1e-300]), np.array([1, 2]), np.array([3, 4]))
    again = SliceScores.from_json(json.loads(json.dumps(scores.to_json())))
    assert (again.losses == scores.losses).all()
    assert again.correct.tolist() == [1, 2]
    assert again.tokens.tolist() == [3, 4]
