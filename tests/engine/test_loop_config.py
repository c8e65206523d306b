"""What TRL and the trackers are told."""

from pathlib import Path

import pytest

from trainer_core.config.load import load_config
from trainer_core.hardware.facts import machine_facts
from trainer_core.planning.draft import draft
from trainer_core.runs.folder import RunFolder

pytest.importorskip("torch")


def test_trackers_hear_of_the_project(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer_core.engine.loop_config import loop_config

    names = ("WANDB_PROJECT", "MLFLOW_EXPERIMENT_NAME", "TENSORBOARD_LOGGING_DIR", "WANDB_DIR")
    for name in names:
        monkeypatch.setenv(name, "before")  # so that what is set here does not stay
    monkeypatch.delenv("WANDB_PROJECT")
    settings = [f"model.base={demo / 'base'}", "data.train=x", "tracking.project=birds"]
    run = draft(load_config(None, settings), machine_facts()).run
    assert run is not None
    folder = RunFolder(tmp_path / "20260101-000000-x")
    assert loop_config(run.config, 1, folder, has_eval=False).project == "birds"
    import os

    assert os.environ["WANDB_PROJECT"] == "birds"
    assert os.environ["MLFLOW_EXPERIMENT_NAME"] == "before"  # a person's own choice stands
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == str(folder.path / "tensorboard")
