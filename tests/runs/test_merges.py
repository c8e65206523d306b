"""What a multi-run leaves on disk: what ships, what can be taken from it, what is taken back."""

import json
from pathlib import Path

import pytest

from trainer_core.errors import UserError
from trainer_core.runs.events import decode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.merges import merged_runs, ship, undo_last_merge
from trainer_core.runs.multi_run_events import Undone
from trainer_core.runs.status import take_lock
from trainer_core.runs.trained import trained_places


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Three runs that are over, of which the second was the best, and a fourth that is not."""
    folder = RunFolder(tmp_path / "run")
    for number, loss in ((1, 0.9), (2, 0.5), (3, 0.7), (4, None)):
        part = folder.part(number)
        for kind in (part.merged, part.fine_tuned):
            kind.mkdir(parents=True)
            (kind / "adapter_config.json").write_text("{}")
            (kind / "weights").write_text(f"{number} {kind.name}")
        if loss is not None:
            part.done.write_text(json.dumps({"general_loss": loss}))
    folder.part(0).path.mkdir()
    ship(folder)
    return folder


def shipped(folder: RunFolder, name: str = "last") -> str:
    return (folder.adapter / name / "weights").read_text()


def test_the_newest_merge_ships_and_the_best_is_kept(folder: RunFolder) -> None:
    assert merged_runs(folder) == [1, 2, 3]
    assert (shipped(folder), shipped(folder, "best")) == ("3 merged", "2 merged")


def test_merges_are_taken_back_one_after_the_other(folder: RunFolder) -> None:
    assert undo_last_merge(folder) == 3
    assert (shipped(folder), shipped(folder, "best")) == ("2 merged", "2 merged")
    assert undo_last_merge(folder) == 2
    assert (shipped(folder), shipped(folder, "best")) == ("1 merged", "1 merged")
    assert (folder.part(3).merged / "weights").read_text() == "3 merged"
    assert trained_places(folder)[0].loss == 0.9  # of those that are not undone
    events = [decode(line) for line in folder.events.read_bytes().splitlines()]
    assert [event.run for event in events if isinstance(event, Undone)] == [3, 2]
    with pytest.raises(UserError, match="only run 1 is merged"):
        undo_last_merge(folder)
    assert shipped(folder) == "1 merged"


def test_a_run_that_goes_on_keeps_its_merges(folder: RunFolder) -> None:
    lock = take_lock(folder)
    with pytest.raises(UserError, match=r"goes on.*backprop stop"):
        undo_last_merge(folder)
    lock.release()
    assert merged_runs(folder) == [1, 2, 3]


def test_what_is_no_multi_run_has_no_merge(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no merge to undo"):
        undo_last_merge(RunFolder(tmp_path))


def test_each_run_can_be_taken(folder: RunFolder) -> None:
    places = trained_places(folder)
    assert [place.name for place in places[:4]] == ["best", "last", "run-04", "run-04-fine-tuned"]
    assert places[-1].name == "run-01-fine-tuned"
    losses = {place.name: place.loss for place in places if place.loss is not None}
    assert losses == {"best": 0.5, "run-03": 0.7, "run-02": 0.5, "run-01": 0.9}
