"""Which rows a prediction asks, and whether they were in the training."""

from pathlib import Path

import pytest

from tests.answering.predictions import predict_here
from tests.engine.trainings import Training
from trainer_core.runs.status import new_status, write_status

pytest.importorskip("torch")

DEMO = Path(__file__).parents[2] / "configs" / "demo"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def trained(folder: Path, **settings: object) -> Training:
    run = Training(folder / "run", DEMO, **{"training.steps": 1, **settings})
    run.go()
    write_status(run.folder, new_status("run", "train"))
    return run


def asked(run: Training, number: int, **request: object) -> tuple[str | None, list[str]]:
    """The split that a prediction of two rows asked, and what it warned of."""
    wish = {"count": 2, "sampling": {"max_tokens": 2}, **request}
    made = predict_here(run.folder.predictions / str(number), run.folder.path, **wish)
    return made.summary["split"], [said for said in made.warnings if "cut at" not in said]


def test_rows_that_were_held_out_and_are_so_still(tmp_path: Path) -> None:
    run = trained(tmp_path)
    found = asked(run, 1)
    assert (found[0], found[1]) == ("validation", [])
    rows = tmp_path / "rows.jsonl"
    first, *others = rows.read_text().splitlines()
    rows.write_text("\n".join([*others, first]) + "\n")
    (said,) = asked(run, 2)[1]
    assert said.startswith("the data has changed since the training (the train data: other rows)")
    found = asked(run, 3, data=str(tmp_path / "held_out.jsonl"))
    assert (found[0], found[1]) == (None, [])


def test_rows_that_were_trained_on_are_said_to_be(tmp_path: Path) -> None:
    none = {"data.validation": None, "data.split.fractions": {"train": 1.0}}
    run = trained(tmp_path, **none)
    found = asked(run, 1)
    assert found[0] == "train"
    assert found[1] == ["nothing is held out of the data: its rows were trained on"]
    assert asked(run, 2, split="train")[1] == []
