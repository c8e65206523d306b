"""Each tracker's own library is told of a recorded run, and its own reader says what it has."""

import importlib.util
from pathlib import Path

import pytest

from tests.tracking.reading import read_back
from tests.tracking.recorded import ANSWER, Curves, RecordedRun
from trainer_core.config.schema import TRACKERS
from trainer_core.tracking.told import is_behind, read_told

pytestmark = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                importlib.util.find_spec(name) is None, reason=f"{name} is not installed"
            ),
        )
        for name in TRACKERS
    ],
)
# TensorBoard keeps scalars as float32.
PRECISION = {"tensorboard": 1e-6}


def same(name: str, seen: Curves, expected: Curves) -> None:
    assert set(expected) <= set(seen)
    for curve, points in expected.items():
        close = pytest.approx(points, rel=PRECISION.get(name, 1e-15), nan_ok=True)
        found = {step: value for step, value in seen[curve].items() if step > 0}
        assert found == close, curve


def test_a_run_is_read_back_as_it_was(name: str, tmp_path: Path) -> None:
    run = RecordedRun(tmp_path / "20260101-birds", "tracking.project=birds")
    run.answer("before", 0)
    run.train(1, 50)
    run.answer("after", 50)
    run.finish(50)
    assert run.tell(name) == 0
    seen = read_back(name, run.folder.path)
    same(name, seen.curves, run.expected)
    assert seen.runs == 1
    assert seen.project == ("" if name == "tensorboard" else "birds")
    assert "training.learning_rate" in seen.config
    assert len(seen.answers) == 2
    assert all(ANSWER.prompt in text and ANSWER.answer in text for text in seen.answers)
    assert "finished" in seen.outcome.lower()
    told = read_told(run.folder, name)
    assert (told.step, told.ended, told.problem) == (50, True, "")
    assert not is_behind(run.folder, told)


def test_a_run_that_goes_on_is_gone_on_with(name: str, tmp_path: Path) -> None:
    """It was killed at step 30 and went on from its checkpoint of step 20."""
    run = RecordedRun(tmp_path / "20260101-birds")
    run.train(1, 30)
    assert run.tell(name) == 0
    assert read_told(run.folder, name).step == 30
    run.train(21, 50, again=30)
    run.finish(50)
    assert run.tell(name) == 0
    seen = read_back(name, run.folder.path)
    same(name, seen.curves, run.expected)
    assert sorted(seen.curves["train/loss"]) == list(range(1, 51))
    assert seen.runs == 1
    assert "finished" in seen.outcome.lower()
