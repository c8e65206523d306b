"""Whether a run can be gone on with, and from where, as what offers a resume is told."""

from pathlib import Path

import pytest

from trainer_core.runs.folder import RunFolder
from trainer_core.runs.going_on import can_resume, saved, way_on
from trainer_core.runs.status import new_status, take_lock, write_status


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A training that failed before anything was saved."""
    folder = RunFolder(tmp_path / "a run")
    folder.path.mkdir()
    folder.config.touch()
    stand(folder, "failed")
    return folder


def stand(folder: RunFolder, state: str, job: str = "train") -> None:
    status = new_status("run", job)
    status.state = state  # type: ignore[assignment]
    write_status(folder, status)


def checkpoint(folder: RunFolder, step: int, *, whole: bool = True) -> None:
    place = folder.checkpoints / f"step-{step}"
    place.mkdir(parents=True)
    if whole:
        (place / "manifest.json").touch()


@pytest.mark.parametrize(
    ("state", "possible"),
    [("failed", True), ("stopped", True), ("running", True), ("finished", False)],
)
def test_what_has_not_finished_can_be_gone_on_with(
    folder: RunFolder, state: str, possible: bool
) -> None:
    stand(folder, state)
    assert can_resume(folder) is possible


def test_what_lives_needs_no_resume(folder: RunFolder) -> None:
    lock = take_lock(folder)
    assert not can_resume(folder)
    lock.release()
    assert can_resume(folder)


def test_an_export_and_what_is_no_run_cannot(folder: RunFolder, tmp_path: Path) -> None:
    stand(folder, "failed", "export")
    assert not can_resume(folder)
    assert way_on(folder) == ""
    assert not can_resume(RunFolder(tmp_path / "nowhere"))
    assert saved(RunFolder(tmp_path / "nowhere")) == ""


def test_the_newest_checkpoint_with_a_manifest_is_named(folder: RunFolder) -> None:
    assert way_on(folder).startswith("Nothing was saved yet; begin it again: ")
    checkpoint(folder, 9)
    checkpoint(folder, 20)
    checkpoint(folder, 100, whole=False)
    (folder.checkpoints / "step-999 (damaged)").mkdir()
    assert saved(folder) == "step 20"
    command = f"backprop train --resume '{folder.path}'"
    assert way_on(folder) == f"Go on from step 20: {command}"


def test_of_a_multi_run_the_newest_run_is_named(folder: RunFolder) -> None:
    folder.part(1).path.mkdir()
    folder.part(1).done.touch()
    folder.part(2).path.mkdir()
    assert saved(folder) == "run 1, which is done"
    checkpoint(folder.part(2), 5)
    assert saved(folder) == "run 2, step 5"
