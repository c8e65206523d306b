"""Training from Python, in the caller's process: the same engine, recorder and run folder.

    from trainer_core import Trainer

    trainer = Trainer("path-or-name")
    trainer.train("data.jsonl", steps=100)
    trainer.save("out")

While it trains, `backprop attach` and `backprop stop` work from any terminal. No signal handler is
installed; Ctrl+C is Python's own KeyboardInterrupt, and the last checkpoint stands.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trainer_core.config.export_section import ExportRequest
from trainer_core.config.load import LoadedConfig, dump_config, load_config
from trainer_core.errors import BackpropError, UserError
from trainer_core.runs.control import Control
from trainer_core.runs.events import Event, Exported, Failed, Finished
from trainer_core.runs.folder import RunFolder, run_name
from trainer_core.runs.recorder import Recorder, last_number
from trainer_core.runs.registry import new_run
from trainer_core.runs.status import new_status, take_lock
from trainer_core.worker.following import wait_for_end
from trainer_core.worker.job import perform
from trainer_core.worker.launching import launch_export
from trainer_core.worker.protocol import Ask, Command
from trainer_core.worker.server import RunServer
from trainer_core.worker.status_keeper import StatusKeeper

# Keywords people know, and the fields they set; any other field goes through `overrides`.
KEYWORDS = {
    "steps": "training.steps",
    "epochs": "training.epochs",
    "samples": "data.limit",
    "batch_size": "training.batch_size",
    "gradient_accumulation": "training.gradient_accumulation",
    "learning_rate": "training.learning_rate",
    "lora_r": "lora.rank",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "max_length": "model.max_length",
    "backend": "model.backend",
    "seed": "training.seed",
    "name": "run.name",
}


@dataclass(frozen=True)
class TrainResult:
    """How a run ended. `folder` is the run folder, `adapter` what was trained (of a full
    fine-tuning the whole model); losses are nats per trained token."""

    outcome: str
    steps: int
    folder: Path
    adapter: Path
    first_loss: float | None
    last_loss: float | None
    best_eval_loss: float | None
    seconds: float


@dataclass(frozen=True)
class ExportResult:
    """What an export wrote: `files` with the check of each, in `folder`; `commands` come next."""

    folder: Path
    files: list[Exported]
    commands: list[str]


class Trainer:
    """Trains a LoRA adapter on a base model.

    `model` is a folder or a name on the hub. `config` is a YAML file to start from. Keywords are
    those of `KEYWORDS`; `overrides` sets any field, as in `{"training.scheduler": "cosine"}`.
    Raises UserError for a config that is not valid.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        config: str | Path | None = None,
        overrides: dict[str, Any] | None = None,
        **keywords: Any,
    ) -> None:
        self._config = Path(config) if config is not None else None
        self._settings = _settings(keywords) | _plain(overrides or {})
        if model is not None:
            self._settings["model.base"] = str(model)
        self.result: TrainResult | None = None

    def train(
        self,
        data: str | Path | None = None,
        *,
        output: str | Path | None = None,
        on_event: Callable[[Event], None] | None = None,
        **keywords: Any,
    ) -> TrainResult:
        """Train on a JSONL file (or the config's) and return how it ended.

        `output` is the run folder, ./runs/<date>-<time>-<name> if not given. `on_event` sees every
        event as it is recorded. Raises UserError for what the caller can mend, BackpropError if the
        run failed.
        """
        settings = self._settings | _settings(keywords)
        if data is not None:
            settings["data.train"] = str(data)
        loaded = load_config(self._config, values=settings)
        name = loaded.config.run.name or run_name(loaded.config.model.base)
        named = output if output is not None else loaded.config.run.folder
        place = Path(named) if named is not None else None
        run_id, folder = new_run(name, place, dump_config(loaded))
        ended = _run_here(run_id, folder, loaded, on_event or (lambda _: None))
        ended = _succeeded(ended)
        saved = Path(ended.saved) if ended.saved else folder.trained(loaded.config.training.method)
        self.result = TrainResult(
            outcome=ended.outcome,
            steps=ended.step,
            folder=folder.path,
            adapter=saved,
            first_loss=ended.summary.get("first_loss"),
            last_loss=ended.summary.get("last_loss"),
            best_eval_loss=ended.summary.get("best_eval_loss"),
            seconds=ended.elapsed,
        )
        return self.result

    def save(self, folder: str | Path) -> Path:
        """Copy the trained adapter (PEFT, with its tokenizer) to `folder`, which must be new or
        empty. Raises UserError if nothing was trained or the folder is taken."""
        if self.result is None:
            raise UserError("nothing is trained yet", hint="Call train() first.")
        target = Path(folder)
        if target.exists() and any(target.iterdir()):
            raise UserError(f"{target} is not empty", hint="Name a new folder.")
        shutil.copytree(self.result.adapter, target, dirs_exist_ok=True)
        return target

    def export(
        self,
        format: str | list[str] = "gguf",
        *,
        quantization: str | list[str] | None = None,
        output: str | Path | None = None,
        register_ollama: bool = False,
        model_name: str | None = None,
        force: bool = False,
        on_event: Callable[[Event], None] | None = None,
        **wishes: Any,
    ) -> ExportResult:
        """Export what was trained, each thing checked against it, and return what was written.

        `format` is adapter (or lora), adapter-gguf, merged, gguf or onnx, or several;
        `quantization` a type of GGUF, or several. `model_name` is the name of the files and, with
        `register_ollama`, of the model in Ollama. `output` is the folder, exports/N of the run if
        not given; `wishes` are the other fields of `ExportRequest`, such as `checkpoint="last"`.

        It works in a process of its own. Raises UserError for what the caller can mend, and
        BackpropError if an export does not speak like the trained model.
        """
        if self.result is None:
            raise UserError("nothing is trained yet", hint="Call train() first.")
        given = wishes | {
            "source": str(self.result.folder),
            "formats": format,
            "quantizations": quantization,
            "name": run_name(model_name) if model_name else None,
            "ollama": (model_name or self.result.folder.name) if register_ollama else None,
        }
        request = ExportRequest.of(given)
        place = Path(output) if output is not None else None
        folder = launch_export(request, place, force=force)
        made: list[Exported] = []

        def tell(event: Event) -> None:
            if isinstance(event, Exported):
                made.append(event)
            if on_event is not None:
                on_event(event)

        ended = _succeeded(wait_for_end(folder, tell))
        return ExportResult(folder.path, made, ended.commands)


def _succeeded(ended: Finished | Failed) -> Finished:
    if isinstance(ended, Failed):
        error = UserError if ended.cause == "user" else BackpropError
        raise error(ended.message, hint=ended.hint)
    return ended


def _settings(keywords: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(keywords.keys() - KEYWORDS.keys())
    if unknown:
        raise UserError(
            f"unknown keyword {unknown[0]!r}",
            hint=f"Known: {', '.join(KEYWORDS)}; any other field through overrides.",
        )
    return _plain({KEYWORDS[name]: value for name, value in keywords.items()})


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as YAML would have them; None leaves a field to the config."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in settings.items()
        if value is not None
    }


def _run_here(
    run_id: str, folder: RunFolder, loaded: LoadedConfig, on_event: Callable[[Event], None]
) -> Finished | Failed:
    from trainer_core.worker.training import train_and_export

    config, control = loaded.config, Control()
    lock = take_lock(folder)
    status = new_status(run_id, "train", config.model.base, config.data.name)

    def obey(wish: Command | Ask) -> None:
        if isinstance(wish, Command):  # a training answers no questions
            control.ask(wish.command, wish.reason)

    server = RunServer(status.run, "train", obey, last_number(folder.events))
    status.address, status.key_file = server.address, server.key_file
    keeper = StatusKeeper(folder, status)
    keeper.write()

    def pass_on(event: Event) -> None:
        keeper.see(event)
        keeper.write_if_due()
        server.publish(event)
        on_event(event)

    recorder = Recorder(folder, pass_on)
    try:
        return perform(folder, recorder, control, partial(train_and_export, own_process=False))
    finally:
        keeper.write()
        recorder.close()
        server.close()
        lock.release()
