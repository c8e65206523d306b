"""One trained run of the demo's model, and a Trainer on it; both made once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import transformers  # noqa: F401 - first, so that nothing trains with Unsloth in this process

from trainer_core import Trainer

# A small run: a few steps on a few rows, with one validation and one checkpoint in between.
SMALL: dict[str, Any] = {
    "backend": "transformers",
    "packing": False,
    "batch_size": 8,
    "gradient_accumulation": 1,
    "lora_r": 4,
    "learning_rate": 2e-3,
    "eval_steps": 6,
    "save_steps": 6,
}


@pytest.fixture(scope="session")
def rows(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few of the demo's rows: train.jsonl and held_out.jsonl."""
    folder = tmp_path_factory.mktemp("rows")
    for name, count in (("train.jsonl", 80), ("held_out.jsonl", 12)):
        lines = (demo / name).read_text(encoding="utf-8").splitlines()
        (folder / name).write_text("\n".join(lines[:count]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache and a list of runs that all of these tests share."""
    place = tmp_path_factory.mktemp("python")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(place / "state"))
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        yield place


@pytest.fixture(scope="session", autouse=True)
def no_reports() -> Iterator[None]:
    """Many small runs, and what is reported of them is looked at elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer_core.python.in_process.report_on", lambda _folder: None)
        yield


@pytest.fixture(autouse=True)
def in_a_folder(places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(places / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def trained(demo: Path, rows: Path, places: Path) -> Trainer:
    """A Trainer that has trained twelve steps; not to be trained again."""
    trainer = Trainer(demo / "base", validation=rows / "held_out.jsonl", **SMALL)
    trainer.train(rows / "train.jsonl", steps=12, output=places / "run")
    return trainer
