"""A training of the demo model in the test's own process, as a job does it."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer_core.config.load import dump_config, load_config
from trainer_core.runs.control import Control
from trainer_core.runs.events import Event, Finished
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder

WEIGHTS = "adapter_model.safetensors"
SETTINGS: dict[str, Any] = {
    "model.backend": "transformers",
    "lora.rank": 4,
    "lora.dropout": 0.1,
    "training.steps": 4,
    "training.batch_size": 2,
    "training.gradient_accumulation": 1,
    "training.packing": "off",
    "training.learning_rate": 2e-3,
    "training.eval_steps": 100,
    "training.save_steps": 2,
}


class Killed(BaseException):
    """Nobody catches it: everything stays as it was at this moment."""


class Training:
    """A run folder, trained in this process as a job would. Its data are `rows.jsonl` (120 rows)
    and `held_out.jsonl` (20) beside it; a setting of None is left out."""

    def __init__(self, folder: Path, demo: Path, **settings: Any) -> None:
        self.folder = RunFolder(folder)
        self.events: list[Event] = []
        folder.mkdir()
        lines = (demo / "train.jsonl").read_text().splitlines()
        rows = folder.parent / "rows.jsonl"
        rows.write_text("\n".join(lines[:120]) + "\n")
        held_out = folder.parent / "held_out.jsonl"
        held_out.write_text("\n".join(lines[300:320]) + "\n")
        values = {
            "model.base": str(demo / "base"),
            "data.train": str(rows),
            "data.validation": str(held_out),
            **SETTINGS,
            **settings,
        }
        values = {name: value for name, value in values.items() if value is not None}
        self.folder.config.write_text(dump_config(load_config(None, values=values)))

    def go(
        self, dies: Callable[[Event], bool] = lambda _: False, control: Control | None = None
    ) -> Finished:
        """Train, or go on; it dies with Killed at the event that `dies` says."""

        def listen(event: Event) -> None:
            self.events.append(event)
            if dies(event):
                raise Killed

        from trainer_core.engine.train import train

        recorder = Recorder(self.folder, listen)
        try:
            return train(self.folder, recorder, control or Control(), own_process=False)
        finally:
            recorder.close()

    def of(self, kind: str) -> list[Any]:
        """Its events of a kind, those of all attempts."""
        return [event for event in self.events if event.type == kind]

    @property
    def losses(self) -> dict[int, float]:
        """By step, as said last."""
        return {event.step: event.values["loss"] for event in self.of("metrics")}

    @property
    def checkpoints(self) -> list[str]:
        """Their names."""
        return sorted(path.name for path in self.folder.checkpoints.iterdir())

    def weights(self, place: str) -> dict[str, Any]:
        """The tensors of an adapter."""
        from safetensors.torch import load_file

        return load_file(self.folder.path / place / WEIGHTS)

    def digest(self, place: str = "adapter/last") -> str:
        """SHA-256 of an adapter's weights."""
        return hashlib.sha256((self.folder.path / place / WEIGHTS).read_bytes()).hexdigest()
