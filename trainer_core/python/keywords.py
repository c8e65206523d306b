"""Keywords of the Python API, and the fields of the config that they set."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer_core.config.imports.words import OPTIMIZERS, SCHEDULERS
from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError

# Sections whose fields are keywords by their own names.
_SECTIONS = ("model", "lora", "training")
# Names that people bring from elsewhere, or that are short for something.
_NAMES = {
    "samples": "data.limit",
    "data": "data.train",
    "dataset": "data.train",
    "validation": "data.validation",
    "name": "run.name",
    "run_name": "run.name",
    "output_dir": "run.folder",
    "preset": "preset",
    "lora_r": "lora.rank",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "target_modules": "lora.targets",
    "use_dora": "lora.dora",
    "use_rslora": "lora.rslora",
    "init_lora_weights": "lora.init",
    "max_seq_length": "model.max_length",
    "load_in_4bit": "model.quantization",
    "use_unsloth": "model.backend",
    "gradient_accumulation_steps": "training.gradient_accumulation",
    "per_device_train_batch_size": "training.batch_size",
    "num_train_epochs": "training.epochs",
    "max_steps": "training.steps",
    "mode": "training.method",
    "optim": "training.optimizer",
    "lr_scheduler_type": "training.scheduler",
    "random_state": "training.seed",
    "report_to": "tracking.to",
}
# Of `multi_run` alone, where some names mean something of their own.
_OF_RUNS = {
    "samples": "multi_run.samples",
    "runs": "multi_run.runs",
    "num_runs": "multi_run.runs",
    "steps_per_run": "training.steps",
    "samples_per_run": "multi_run.samples",
    "merge": "multi_run.merge",
    "merge_mode": "multi_run.merge",
    "merge_strategy": "multi_run.merge",
    "replay": "multi_run.replay",
    "replay_from": "multi_run.replay_from",
    "stages": "multi_run.stages",
    "compare": "multi_run.compare",
    "density": "multi_run.density",
    "eval_rows": "multi_run.eval_rows",
    "last_learning_rate": "multi_run.last_learning_rate",
    "warmup": "multi_run.warmup",
}


_NEEDED = (
    ("model.base", "no model is named", 'For example: Trainer("owner/name").'),
    ("data.train", "no data is named", 'For example: train("rows.jsonl").'),
)
_LENGTHS = frozenset({"training.steps", "training.epochs"})


def _fields() -> Iterator[tuple[str, str]]:
    for section in _SECTIONS:
        model: Any = RunConfig.model_fields[section].annotation
        for name in model.model_fields:
            yield name, f"{section}.{name}"


KEYWORDS: dict[str, str] = {**dict(_fields()), **_NAMES, "train_on_responses": ""}
KEYWORDS.pop("base")  # that is `model`
MULTI_RUN_KEYWORDS = {**KEYWORDS, **_OF_RUNS}


def settings_of(keywords: Mapping[str, Any], known: Mapping[str, str] = KEYWORDS) -> dict[str, Any]:
    """Fields of the config by dotted name, with values as YAML would have them; None leaves a field
    out. Raises UserError for an unknown keyword, with the nearest one, and for two that set the
    same field."""
    settings: dict[str, Any] = {}
    came_from: dict[str, str] = {}
    for keyword, value in keywords.items():
        if keyword not in known:
            raise _unknown(keyword, known)
        if value is None:
            continue
        if keyword == "train_on_responses":
            _require_responses(value)
            continue
        field = known[keyword]
        if field in settings:
            raise UserError(
                f"{came_from[field]} and {keyword} both set {field}", hint="Leave one of them out."
            )
        came_from[field] = keyword
        settings[field] = _plain(_MEANINGS.get(keyword, _as_it_is)(value))
    return settings


def runs_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a multi-run: where several datasets are all that says how many runs there are,
    each is one."""
    data = settings.get("data.train")
    counted = {"multi_run.runs", "multi_run.stages"} & settings.keys()
    if isinstance(data, list) and len(data) > 1 and not counted:
        return {**settings, "multi_run.by_source": True}
    return settings


def require_named(settings: Mapping[str, Any]) -> None:
    """Raises UserError where neither a preset nor a setting says what is trained on what."""
    if "preset" in settings:
        return
    for name, message, hint in _NEEDED:
        if not any(given == name or given.startswith(f"{name}.") for given in settings):
            raise UserError(message, hint=hint)


def fields_of(overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """Any fields by dotted name, as `overrides` gives them."""
    return {name: _plain(value) for name, value in (overrides or {}).items() if value is not None}


def together(*settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings one after the other: later ones win over earlier ones, and over what lies in them
    (`data.train` over `data.train.path`). Steps take the place of epochs, and the other way round.
    """
    found: dict[str, Any] = {}
    for layer in settings:
        if len(_LENGTHS & layer.keys()) == 1:
            for length in _LENGTHS:
                found.pop(length, None)
        for name, value in layer.items():
            for inner in [other for other in found if other.startswith(f"{name}.")]:
                del found[inner]
            found.pop(name, None)  # so that it comes last
            found[name] = value
    return found


def _require_responses(value: object) -> None:
    if value is True:
        return
    raise UserError(
        f"train_on_responses is {value}, and only what the assistant wrote is learnt here",
        hint="Rows that are a plain text are learnt as a whole.",
    )


def _as_it_is(value: Any) -> Any:
    return value


def _backend(value: Any) -> Any:
    """`use_unsloth`: where it is installed it is used anyway."""
    return "auto" if value is True else "transformers" if value is False else value


def _packing(value: Any) -> Any:
    return {True: "pack", False: "off"}.get(value, value) if isinstance(value, bool) else value


def _quantization(value: Any) -> Any:
    return {True: "4bit", False: "none"}.get(value, value)


def _start(value: Any) -> Any:
    return "default" if value is True else value


def _optimizer(value: Any) -> Any:
    return OPTIMIZERS.get(value, value) if isinstance(value, str) else value


def _scheduler(value: Any) -> Any:
    return SCHEDULERS.get(value, value) if isinstance(value, str) else value


def _trackers(value: Any) -> Any:
    listed = [value] if isinstance(value, str) else list(value)
    return [] if listed == ["none"] else listed


def _baselines(value: Any) -> Any:
    if isinstance(value, bool):
        return ["sequential", "joint"] if value else []
    return [value] if isinstance(value, str) else value


# What some keywords take besides what their field does.
_MEANINGS: dict[str, Callable[[Any], Any]] = {
    "use_unsloth": _backend,
    "packing": _packing,
    "load_in_4bit": _quantization,
    "init_lora_weights": _start,
    "optim": _optimizer,
    "optimizer": _optimizer,
    "lr_scheduler_type": _scheduler,
    "report_to": _trackers,
    "compare": _baselines,
}


def _unknown(keyword: str, known: Mapping[str, str]) -> UserError:
    near = difflib.get_close_matches(keyword, known, n=1, cutoff=0.6)
    if keyword in _OF_RUNS:
        hint = f"multi_run() takes it; or set {_OF_RUNS[keyword]} in overrides."
    elif near:
        hint = f"Did you mean {near[0]}?"
    else:
        hint = "docs/python.md lists those that there are; any field can be set in overrides."
    return UserError(f"unknown keyword {keyword!r}", hint=hint)


def _plain(value: Any) -> Any:
    """As YAML would have it."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
