"""Filters and orders of `backprop runs`."""

from pathlib import Path

import pytest

from tests.history.written import finished
from trainer_core.errors import UserError
from trainer_core.history.choosing import Wanted, moment_of, ordered, states_of
from trainer_core.runs.registry import list_runs

DAY = 86400.0


@pytest.fixture
def three(tmp_path: Path) -> None:
    for number, (name, loss) in enumerate((("old", 1.0), ("mid", 3.0), ("new", 2.0)), 1):
        run = finished(tmp_path / name, name, loss=loss, created=number * DAY)
        run.show("failed" if name == "mid" else "finished")


def named(wanted: Wanted) -> list[str]:
    return [entry.id for entry in list_runs() if wanted.fits(entry)]


@pytest.mark.usefixtures("three")
def test_filters() -> None:
    assert named(Wanted()) == ["new", "mid", "old"]
    assert named(Wanted(states=frozenset({"failed"}))) == ["mid"]
    assert named(Wanted(name="O")) == ["old"]
    assert named(Wanted(model="DEMO/base")) == ["new", "mid", "old"]
    assert named(Wanted(model="qwen")) == []
    assert named(Wanted(data="train.jsonl", since=2 * DAY)) == ["new", "mid"]


@pytest.mark.usefixtures("three")
def test_orders() -> None:
    assert [entry.id for entry in ordered(list_runs(), "loss")] == ["old", "new", "mid"]
    assert [entry.id for entry in ordered(list_runs(), "eval")] == ["old", "new", "mid"]
    (curve,) = (e.folder.curves / "eval_loss.f64" for e in list_runs() if e.id == "old")
    curve.unlink()
    assert [entry.id for entry in ordered(list_runs(), "eval")] == ["new", "mid", "old"]
    with pytest.raises(UserError, match="started, loss or eval"):
        ordered(list_runs(), "name")


def test_states() -> None:
    assert states_of(["Finished,failed", "died"]) == {"finished", "failed", "died"}
    assert states_of([]) == frozenset()
    with pytest.raises(UserError, match="no state is called done"):
        states_of(["done"])


def test_moments() -> None:
    assert moment_of("7d", now=10 * DAY) == 3 * DAY
    assert moment_of(" 2 W ", now=20 * DAY) == 6 * DAY
    assert moment_of("90m", now=DAY) == DAY - 5400
    assert moment_of("2026-11-02") - moment_of("2026-11-01") == DAY
    assert moment_of("2026-11-01T12:00") - moment_of("2026-11-01") == DAY / 2
    for words in ("", "7", "7 years", "-7d", "yesterday", "2026-13-01", "99999999d"):
        with pytest.raises(UserError, match="neither a span nor a date"):
            moment_of(words)
