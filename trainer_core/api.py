"""Training from Python, in the caller's process: the same engine, recorder and run folder.

    from trainer_core import Trainer

    trainer = Trainer("path-or-name")
    trainer.train("data.jsonl", steps=100)
    trainer.save("out")

While it trains, `backprop attach` and `backprop stop` work from any terminal. No signal handler is
installed; Ctrl+C is Python's own KeyboardInterrupt, and the last checkpoint stands. docs/python.md
describes all of it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from trainer_core.config.data_section import SplitName
from trainer_core.config.export_section import ExportRequest
from trainer_core.config.load import LoadedConfig, load_config
from trainer_core.engine.subject import (
    NO_DATA,
    begun_with,
    place_in,
    settings_of_folder,
    trained_in,
)
from trainer_core.errors import UserError
from trainer_core.python.callbacks import OnEvent, each, one_callback
from trainer_core.python.exporting import export_there
from trainer_core.python.going_on import copy_weights, settings_to_go_on
from trainer_core.python.in_process import train_here
from trainer_core.python.keywords import (
    MULTI_RUN_KEYWORDS,
    fields_of,
    require_named,
    runs_of,
    settings_of,
    together,
)
from trainer_core.python.loaded_model import LoadedModel
from trainer_core.python.multi_run_result import multi_run_result
from trainer_core.python.planning import plan_ahead
from trainer_core.python.progress import ShownProgress
from trainer_core.python.results import (
    EvalResult,
    ExportResult,
    ForgettingResult,
    MultiRunResult,
    Plan,
    Prediction,
    RunResult,
    TrainResult,
)
from trainer_core.python.starting import earlier_one, new_one
from trainer_core.runs.events import Finished
from trainer_core.runs.folder import RunFolder, run_name
from trainer_core.runs.merges import undo_last_merge
from trainer_core.runs.trained import holds, trained_places
from trainer_core.worker.launching import source_folder

__all__ = [
    "EvalResult",
    "ExportResult",
    "ForgettingResult",
    "MultiRunResult",
    "Plan",
    "Prediction",
    "RunResult",
    "TrainResult",
    "Trainer",
]

Message = Mapping[str, Any]
# A file, a name on the hub, a source as the config has it, or several.
Data = str | Path | Mapping[str, Any]


class Trainer:
    """Trains a LoRA adapter on a base model, or all of it, and uses what it has trained.

    `model` is a folder or a name on the hub; the folder of an adapter means to go on with it.
    `config` is a YAML file to start from. Keywords set single fields of the config: those of
    `model`, `lora` and `training` by their own names, and the names that others have for them;
    `overrides` sets any, as in `{"safety.memory_limit": 8}`. `progress` is whether a line says how
    far it is: None where there is a terminal or a notebook.

    Raises UserError for a keyword that does not exist.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        config: str | Path | None = None,
        overrides: Mapping[str, Any] | None = None,
        progress: bool | None = None,
        **keywords: Any,
    ) -> None:
        self._config = Path(config) if config is not None else None
        named = {"model.base": str(model)} if model is not None else {}
        self._settings = together(settings_of(keywords), fields_of(overrides), named)
        self._progress = progress
        # What is used: a run's folder, or that of an adapter or a model; neither before training.
        self._run: RunFolder | None = None
        self._weights: Path | None = None
        self._loaded = LoadedModel()
        self.result: TrainResult | MultiRunResult | None = None

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        checkpoint: str = "best",
        overrides: Mapping[str, Any] | None = None,
        progress: bool | None = None,
        **keywords: Any,
    ) -> "Trainer":
        """A Trainer for what was trained before: a run (its folder, an id, `last`), or the folder
        of an adapter or of a whole model.

        `train` goes on from it, in a new run with the settings of the old one: from the weights
        called `checkpoint`, best, last or step-N. Raises UserError where there is nothing.
        """
        trainer = cls(progress=progress)
        folder = source_folder(str(source))
        if holds(folder):
            trainer._weights, begun = folder, settings_of_folder(folder)
        else:
            trainer._run = RunFolder(folder)
            begun = settings_to_go_on(trainer._run, checkpoint)
        trainer._settings = together(begun, settings_of(keywords), fields_of(overrides))
        return trainer

    # --- training --------------------------------------------------------------------------------

    def train(
        self,
        data: Data | Sequence[Data] | None = None,
        *,
        steps: int | None = None,
        samples: int | None = None,
        output: str | Path | None = None,
        resume_from: str | Path | None = None,
        on_event: OnEvent | None = None,
        callback: OnEvent | None = None,
        overrides: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> TrainResult:
        """Train on rows (or the config's) and return how it ended.

        `data` is a file, a dataset on the hub, or a list of them; `samples` at most so many rows.
        `output` is the run folder, ./runs/<date>-<time>-<name> if not given. `resume_from` goes on
        with an earlier run from its newest checkpoint; what is given beside must be as it was.
        `on_event` (or `callback`) sees every event as it is recorded; what it raises is logged once
        and breaks nothing.

        Raises UserError for what the caller can mend, LockedError while another process has the
        run, BackpropError if the run failed.
        """
        given = settings_of({"data": data, "steps": steps, "samples": samples, **keywords})
        settings = together(given, fields_of(overrides))
        ended, folder = self._train(settings, output, resume_from, on_event, callback)
        self.result = TrainResult.of(folder, ended)
        return self.result

    def multi_run(
        self,
        data: Data | Sequence[Data] | None = None,
        *,
        runs: int | None = None,
        steps: int | None = None,
        samples: int | None = None,
        merge: str | None = None,
        replay: float | None = None,
        stages: Sequence[Mapping[str, Any]] | None = None,
        compare: bool | Sequence[str] | None = None,
        output: str | Path | None = None,
        resume_from: str | Path | None = None,
        on_event: OnEvent | None = None,
        callback: OnEvent | None = None,
        overrides: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> MultiRunResult:
        """Train in several runs on one adapter, merged after each so that little is forgotten.

        The data is cut into `runs` shards; several datasets are a run each. `steps` and `samples`
        are of each run. `merge` is slao and so on (multi_run.merge), `replay` the share of rows
        from runs before, `stages` a curriculum, `compare` trains baselines too. All else as
        `train`.

        Raises UserError where there is only one run, and what `train` raises.
        """
        named = {
            "data": data, "runs": runs, "steps": steps, "samples": samples, "merge": merge,
            "replay": replay, "stages": stages, "compare": compare,
        }  # fmt: skip
        settings = runs_of(settings_of({**named, **keywords}, MULTI_RUN_KEYWORDS))
        settings = together(settings, fields_of(overrides))
        ended, folder = self._train(
            settings, output, resume_from, on_event, callback, several_runs=True
        )
        self.result = multi_run_result(folder, ended)
        return self.result

    def undo_last_merge(self) -> int:
        """Let the adapter be as it was before the last merge of the multi-run; returns the number
        of the run whose merge that was. Raises UserError where there is nothing to undo."""
        if self._run is None:
            raise UserError("there is no multi-run", hint="Call multi_run() or load() one first.")
        self._loaded.let_go()
        return undo_last_merge(self._run)

    def plan(
        self,
        data: Data | Sequence[Data] | None = None,
        *,
        exact: bool = False,
        overrides: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> Plan:
        """What a training with these settings would be: every value with its reason, the steps, the
        memory. Nothing is loaded; `exact` tokenises all of the data instead of its first rows.
        Raises UserError where there is no plan."""
        given = runs_of(settings_of({"data": data, **keywords}, MULTI_RUN_KEYWORDS))
        loaded = self._load_config(together(given, fields_of(overrides)))
        return Plan.of(plan_ahead(loaded, exact=exact))

    # --- using it --------------------------------------------------------------------------------

    @overload
    def predict(
        self,
        prompt: str | Sequence[Message],
        *,
        max_tokens: int = ...,
        temperature: float = ...,
        top_p: float = ...,
        seed: int = ...,
        checkpoint: str = ...,
        base: bool = ...,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        prompt: list[str] | Sequence[Sequence[Message]],
        *,
        max_tokens: int = ...,
        temperature: float = ...,
        top_p: float = ...,
        seed: int = ...,
        checkpoint: str = ...,
        base: bool = ...,
    ) -> list[Prediction]: ...
    def predict(
        self,
        prompt: str | Sequence[Message] | Sequence[str] | Sequence[Sequence[Message]],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        checkpoint: str = "best",
        base: bool = False,
    ) -> Prediction | list[Prediction]:
        """Answer a prompt, or each of a list of them, in the chat template of the training.

        A prompt is a text, or a conversation: a list of {"role": …, "content": …}. At temperature 0
        each token is the likeliest one, and a batch changes nothing. `checkpoint` is best, last or
        step-N of a run; `base` asks the base model instead. The model stays loaded until the next
        training. Raises UserError for what cannot be answered.
        """
        subject = trained_in(self._run, checkpoint) if self._run else begun_with(self._settled())
        wishes = {
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "seed": seed,
        }
        return self._loaded.predict(subject, prompt, wishes, base=base)

    def evaluate(
        self,
        data: Data | Sequence[Data] | None = None,
        *,
        split: SplitName = "validation",
        checkpoint: str = "best",
        base: bool = False,
    ) -> EvalResult:
        """How well it knows a split of its data, or all rows of `data`: what it was trained on
        decides the template, the length and the mask. `checkpoint` and `base` as in `predict`;
        before anything is trained it is the base anyway. Raises UserError.
        """
        rows = settings_of({"data": data})
        subject = (
            trained_in(self._run, checkpoint) if self._run else begun_with(self._load_config(rows))
        )
        return self._loaded.score(subject, rows.get("data.train"), split, base=base)

    def save(self, folder: str | Path, *, checkpoint: str = "last") -> Path:
        """Copy what was trained (a PEFT adapter or a whole model, with its tokenizer) to `folder`,
        which must be new or empty. Raises UserError if nothing was trained or the folder is taken.
        """
        if self._weights is not None:
            return copy_weights(self._weights, Path(folder))
        return copy_weights(place_in(self._trained_run(), checkpoint).path, Path(folder))

    def export(
        self,
        format: str | list[str] = "gguf",
        *,
        quantization: str | list[str] | None = None,
        output: str | Path | None = None,
        register_ollama: bool = False,
        model_name: str | None = None,
        force: bool = False,
        on_event: OnEvent | None = None,
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
        source = self._weights or self._trained_run().path
        given = wishes | {
            "source": str(source),
            "formats": format,
            "quantizations": quantization,
            "name": run_name(model_name) if model_name else None,
            "ollama": (model_name or source.name) if register_ollama else None,
        }
        request, told = ExportRequest.of(given), one_callback(None, on_event)
        with ShownProgress(self._progress) as shown:
            return export_there(request, output, each(shown.see, told), force=force)

    # --- behind it -------------------------------------------------------------------------------

    def _train(
        self,
        settings: dict[str, Any],
        output: str | Path | None,
        resume_from: str | Path | None,
        on_event: OnEvent | None,
        callback: OnEvent | None,
        *,
        several_runs: bool = False,
    ) -> tuple[Finished, RunFolder]:
        told = one_callback(callback, on_event)
        if resume_from is None:
            run = new_one(self._load_config(settings), output, several=several_runs)
        elif output is None:
            wanted = together(self._settings, settings)
            run = earlier_one(resume_from, self._config, wanted, several=several_runs)
        else:
            raise UserError("a run is gone on with where it is", hint="Leave output out.")
        self._loaded.let_go()
        try:
            with ShownProgress(self._progress) as shown:
                return train_here(run, each(shown.see, told)), run.folder
        finally:
            if trained_places(run.folder):
                self._run, self._weights = run.folder, None

    def _load_config(self, settings: Mapping[str, Any]) -> LoadedConfig:
        values = together(self._settings, settings)
        if self._config is None:
            require_named(values)
        return load_config(self._config, values=values)

    def _settled(self) -> LoadedConfig:
        """The config where no data is needed."""
        needs = self._config is None and not any(n.startswith("data.train") for n in self._settings)
        return self._load_config({"data.train": NO_DATA} if needs else {})

    def _trained_run(self) -> RunFolder:
        if self._run is None:
            raise UserError("nothing is trained yet", hint="Call train() first.")
        return self._run
