"""What reaches the model is what the token view shows: no cut, no lost row, no other mask."""

from pathlib import Path
from typing import Any

import pytest

from trainer_core.config.load import load_config
from trainer_core.data.conversations import Conversation, Turn
from trainer_core.hardware.facts import machine_facts
from trainer_core.planning.draft import draft
from trainer_core.runs.control import Control
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.tokens.examples import IGNORED, Encoder, Example
from trainer_core.tokens.tokenizer import load_tokenizer

pytest.importorskip("torch")


def long_and_short(encoder: Encoder) -> list[Example]:
    words = ["a hen clucks. ", "the plural of city is cities. "]
    return [
        encoder.encode(
            Conversation(
                f"x:{n}",
                (Turn("user", f"Say {n}."), Turn("assistant", words[n % 2] * (1 + n * 7 % 40))),
            )
        )
        for n in range(13)
    ]


def test_every_example_reaches_the_model_whole_once_an_epoch(demo: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoTokenizer

    from trainer_core.engine import transformers_backend as backend
    from trainer_core.engine.batches import Collator, EpochOrder, rows_of_step, to_dataset
    from trainer_core.engine.loop import Loop, Place
    from trainer_core.engine.loop_config import loop_config
    from trainer_core.engine.room import Room
    from trainer_core.runs.flight import Flight

    base = demo / "base"
    encoder = Encoder(load_tokenizer(base), "demo")
    examples = long_and_short(encoder)
    settings = {
        "model.base": base,
        "data.train": "unused",
        "model.backend": "transformers",
        "training.batch_size": 2,
        "training.gradient_accumulation": 2,
        "training.warmup_steps": 0,
        "training.save_steps": 100,
        "training.steps": 8,
        "training.packing": "off",
    }
    loaded = load_config(None, [f"{name}={value}" for name, value in settings.items()])
    run = draft(loaded, machine_facts()).run
    assert run is not None
    config = run.config
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    seen: list[tuple[list[int], list[int]]] = []

    class Watched(Loop):
        def compute_loss(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
            for ids, labels, mask in zip(
                inputs["input_ids"], inputs["labels"], inputs["attention_mask"], strict=True
            ):
                length = int(mask.sum())
                assert labels[length:].eq(IGNORED).all()
                seen.append((ids[:length].tolist(), labels[:length].tolist()))
            return super().compute_loss(model, inputs, *rest, **named)

    steps = 8  # 13 examples are 7 batches and 4 steps an epoch
    loop = Watched(
        folder=folder,
        recorder=(recorder := Recorder(folder, lambda _: None)),
        record=folder,
        wishes=(control := Control()),
        settings=config.training,
        safety=config.safety,
        place=Place(),
        room=Room(folder.path, recorder, control, "stop"),
        flight=Flight(folder),
        rows_at=lambda _: [],
        warm=False,
        model=backend.load(base, config, torch.float32),
        args=loop_config(config, steps, folder, has_eval=False),
        train_dataset=to_dataset(examples),
        data_collator=Collator(encoder.tokenizer.pad_id),
        processing_class=AutoTokenizer.from_pretrained(str(base)),
    )
    loop.train()
    order = EpochOrder(len(examples), config.training.seed)
    expected = []
    for epoch in range(2):
        order.set_epoch(epoch)
        expected += [(examples[i].ids.tolist(), examples[i].labels.tolist()) for i in order]
    assert seen == expected
    # Where the rows of each step stand is known without the loop.
    said = [rows_of_step(len(examples), 2, 2, config.training.seed, step) for step in range(steps)]
    assert [len(rows) for rows in said] == [4, 4, 4, 1] * 2
    named = [examples[row] for rows in said for row in rows]
    assert [(example.ids.tolist(), example.labels.tolist()) for example in named] == expected
