"""A really trained run of the demo's model, made once."""

import os
import shutil
from pathlib import Path

import pytest

from trainer_core.api import Trainer
from trainer_core.runs.folder import RunFolder

# Enough for the answers to be others than the base's.
STEPS = 40


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's folder; not to be written to."""
    demo = Path(__file__).parents[2] / "configs" / "demo"
    place = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(place / "state"))
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        trainer = Trainer(
            config=demo / "demo.yaml",
            overrides={
                "model.backend": "transformers",
                "training.steps": STEPS,
                "training.epochs": "auto",
                "training.eval_steps": 20,
                "training.save_steps": 20,
                "training.keep_checkpoints": 2,
                "training.sample_prompts": [],
            },
        )
        result = trainer.train(output=place / "run")
    assert (result.adapter / "adapter_config.json").is_file()
    return result.folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A copy of the run that a test may change; what it was tokenized into stays in its cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(trained_once.parent / "cache"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained_once, tmp_path / "run")
    os.environ.pop("HF_TOKEN", None)
    return RunFolder(tmp_path / "run")
