"""A folder that a job takes over holds nothing that was found of the job before."""

from pathlib import Path

import pytest

from trainer_core.errors import UserError
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import new_status, write_status
from trainer_core.worker.job_folders import chosen_folder

FOUND = ("predictions.jsonl", "summary.json", "eval.json", "memory.jsonl", "memory.png")


def used(place: Path, job: str, *names: str) -> Path:
    """A folder in which a job has ended."""
    place.mkdir()
    write_status(RunFolder(place), new_status("1", job))
    for name in ("events.jsonl", *names):
        (place / name).write_text("{}\n")
    return place


def test_a_prediction_is_replaced_with_its_evaluation(tmp_path: Path) -> None:
    place = used(tmp_path / "answers", "predict", *FOUND, "notes.txt")
    with pytest.raises(UserError, match="answers is not empty"):
        chosen_folder(place, "predict", force=False)
    assert (place / "eval.json").exists()
    chosen_folder(place, "predict", force=True)
    assert [path.name for path in place.iterdir()] == ["notes.txt"]


def test_an_export_is_replaced_with_its_check(tmp_path: Path) -> None:
    place = used(tmp_path / "out", "export", "check.json", "tiny-F16.gguf")
    chosen_folder(place, "export", force=True)
    assert [path.name for path in place.iterdir()] == ["tiny-F16.gguf"]


def test_a_job_that_came_to_nothing_leaves_its_place(tmp_path: Path) -> None:
    place = used(tmp_path / "answers", "predict", "request.json", "memory.jsonl")
    assert not [*chosen_folder(place, "predict", force=False).path.iterdir()]
