"""Numbers that went wrong are seen, and those that only look odd are not."""

import math

import pytest

from trainer_core.config.safety_section import SafetySection
from trainer_core.engine.numbers import BadNumbers, NumberWatch


def watch(
    losses: list[float], gradients: list[float] | None = None, **safety: object
) -> list[BadNumbers]:
    watched = NumberWatch(SafetySection.model_validate(safety))
    norms = gradients or [1.0] * len(losses)
    found = [watched.look(n, *pair) for n, pair in enumerate(zip(losses, norms, strict=True), 1)]
    return [trouble for trouble in found if trouble is not None]


def falling(steps: int = 100) -> list[float]:
    return [0.2 + 3 * 0.95**step for step in range(steps)]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_the_run_or_is_warned_of(loss: float) -> None:
    (found,) = watch([2.0, loss])
    assert found.ends
    assert "loss of step 2" in found.message
    assert not watch([2.0, loss], bad_loss="warn")[0].ends


def test_a_gradient_that_is_no_number_ends_it_before_the_loss_does() -> None:
    assert "gradient of step 2 is nan" in watch([2.0, 2.0], [1.0, math.nan])[0].message


def test_scaled_losses_find_their_scale_by_gradients_that_are_no_numbers() -> None:
    watched = NumberWatch(SafetySection(), scaled=True)
    assert watched.look(1, 2.0, math.inf) is None


def test_a_loss_that_explodes_ends_the_run() -> None:
    found = watch([*falling(), *([9.0] * 20)])
    assert "explodes" in found[0].message
    assert not watch([*falling(), *([9.0] * 20)], exploding_loss=None)


def test_odd_batches_plateaus_and_slow_rises_are_no_explosion() -> None:
    odd = falling()
    odd[50] *= 20
    assert not watch(odd)
    assert not watch([0.01] * 30 + [0.02] * 30)
    # Three times the lowest, and no worse than where it began.
    assert not watch([3.0] * 10 + [0.3] * 10 + [2.0] * 10)


def test_gradients_that_stay_zero_end_it() -> None:
    assert not watch([2.0] * 19, [0.0] * 19)
    assert "nothing is learnt" in watch([2.0] * 20, [0.0] * 20)[0].message
    assert not watch([2.0] * 30, [0.0, 0.0, 1.0] * 10, zero_gradients=3)
    assert watch([2.0] * 3, [0.0] * 3, zero_gradients=3)
    assert not watch([2.0] * 40, [0.0] * 40, zero_gradients=None)
