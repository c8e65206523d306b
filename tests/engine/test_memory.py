"""What training leaves in memory, and in which pieces its loss is computed."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from trainer_core.config.load import dump_config, load_config
from trainer_core.runs.control import Control
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder

pytest.importorskip("torch")


def train_a_step(folder: Path, demo: Path, *settings: str) -> None:
    from trainer_core.engine.train import train

    folder.mkdir()
    run = RunFolder(folder)
    short = ["training.steps=1", "training.batch_size=2", "training.packing=off", "data.limit=8"]
    given = [f"model.base={demo / 'base'}", f"data.train={demo / 'train.jsonl'}", *short]
    loaded = load_config(None, [*given, "model.backend=transformers", *settings])
    run.config.write_text(dump_config(loaded), encoding="utf-8")
    recorder = Recorder(run, lambda event: None)
    train(run, recorder, Control(), own_process=False)
    recorder.close()


def test_a_model_is_let_go_when_it_is_trained(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bitsandbytes")
    from trainer_core.engine import train as engine

    load, embeddings = engine._load_model, []

    def watch(*arguments: Any) -> Any:
        model = load(*arguments)
        embeddings.append(weakref.ref(model.get_input_embeddings().weight))
        return model

    monkeypatch.setattr(engine, "_load_model", watch)
    train_a_step(tmp_path / "run", demo, "training.optimizer=adamw_8bit")
    gc.collect()
    assert [embedding() for embedding in embeddings] == [None]


def test_an_adapter_on_the_head_is_trained(tmp_path: Path, demo: Path) -> None:
    train_a_step(tmp_path / "run", demo, "lora.targets=[q_proj, lm_head]")
    assert (tmp_path / "run" / "adapter" / "last" / "adapter_model.safetensors").is_file()
