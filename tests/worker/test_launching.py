"""What a person names to be exported or asked, before any worker starts."""

from pathlib import Path

import pytest

from trainer_core.config.export_section import ExportRequest
from trainer_core.config.predict_section import PredictRequest
from trainer_core.errors import UserError
from trainer_core.worker.launching import launch_export, launch_predict

LONG = "x" * 300
WRONG = {
    " ": "is blank",
    "~nobody-here/x": "the home of a user who is not known here",
    LONG: "there are no runs yet",
    "x\0": "there are no runs yet",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_source_that_nothing_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").touch()  # the folder itself is a model's
    with pytest.raises(UserError, match=WRONG[name]):
        launch_export(ExportRequest(source=name))
    with pytest.raises(UserError, match=WRONG[name]):
        launch_predict(PredictRequest(source=name))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("name", ["~nobody-here/x", LONG])
def test_prompts_that_nothing_can_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").touch()
    with pytest.raises(UserError, match=r"the home of a user|does not exist"):
        launch_predict(PredictRequest(source=str(tmp_path), prompts=name))
