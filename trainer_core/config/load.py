"""From a YAML file, flags and `--set` to a valid RunConfig, or one sentence on what is wrong."""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from trainer_core.config.data_section import SPLITS, names_hub
from trainer_core.config.schema import RunConfig
from trainer_core.config.yaml_file import Keys, YamlFile, dump_yaml, parse_scalar, read_yaml
from trainer_core.errors import UserError


@dataclass(frozen=True)
class LoadedConfig:
    """A valid config, the data it was made from (paths made absolute), and which of its fields the
    user wrote (dotted, as in `training.steps`)."""

    config: RunConfig
    data: dict[str, Any]
    given: frozenset[str]


def load_config(path: Path | None, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read a config file (or none), apply overrides of the form `training.steps=100`, validate.

    Paths in a file are relative to that file; paths in overrides to the current folder.
    Raises UserError naming path:line and the nearest right spelling.
    """
    source = read_yaml(path) if path is not None else YamlFile("the command line", {})
    data = {key: _copy(value) for key, value in source.data.items()}
    _make_paths_absolute(data, path.parent if path is not None else Path())
    for override in overrides:
        _apply(data, override)
    _make_paths_absolute(data, Path())
    return validate(data, source, overrides)


def validate(
    data: dict[str, Any], source: YamlFile | None = None, overrides: Sequence[str] = ()
) -> LoadedConfig:
    """Check plain data against the schema. Raises UserError for the first mistake."""
    try:
        config = RunConfig.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        raise _sentence(dict(details[0]), source, overrides) from None
    return LoadedConfig(config, data, frozenset(_leaves(data)))


def dump_config(loaded: LoadedConfig) -> str:
    """The config as YAML: what the user gave, nothing more."""
    return dump_yaml(loaded.data)


def field_at(keys: Sequence[str | int]) -> type[BaseModel] | None:
    """The section of the schema at `keys`, or None where there is none."""
    model: type[BaseModel] | None = RunConfig
    for key in keys:
        if isinstance(key, int):
            continue  # an item of a list is described where the list is
        info = model.model_fields.get(key) if model is not None else None
        model = _section_in(info.annotation) if info is not None else None
    return model


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds: itself, or as an item of a list, or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section_in(argument) for argument in get_args(annotation))
    return next((section for section in found if section is not None), None)


def _apply(data: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise UserError(
            f"--set {override!r} is not of the form section.field=value",
            hint="For example: --set training.learning_rate=1e-4",
        )
    target = data
    for key in keys[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise UserError(f"--set {name}: {key!r} is a value, not a section")
    target[keys[-1]] = parse_scalar(value)


# What names a file. A model may also be a name on the hub, a template the name of a family: they
# are paths where such a file exists, or where they look like one.
_MAYBE_PATHS = (("model", "base"), ("model", "template"))
_DATA_PATHS = ("path", "inputs", "answers", "prompt", "file")


def _make_paths_absolute(data: dict[str, Any], folder: Path) -> None:
    for section, name in _MAYBE_PATHS:
        holder = data.get(section)
        value = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and isinstance(value, str) and value:
            path = _absolute(value, folder)
            if value.startswith((".", "~")) or Path(path).exists() or value.endswith(".jinja"):
                holder[name] = path
    rows = data.get("data")
    if isinstance(rows, dict):
        for split in SPLITS:
            if split in rows:
                rows[split] = _absolute_source(rows[split], folder)
        if isinstance(rows.get("split"), dict):
            rows["split"] = _absolute_source(rows["split"], folder)


def _absolute_source(source: Any, folder: Path) -> Any:
    """A source as the config has it, with absolute paths: text, a mapping, or a list of them."""
    if isinstance(source, list):
        return [_absolute_source(item, folder) for item in source]
    if isinstance(source, dict):
        return {
            key: _absolute(value, folder)
            if key in _DATA_PATHS and isinstance(value, str)
            else _absolute_source(value, folder)
            if key == "pairs"
            else value
            for key, value in source.items()
        }
    if not isinstance(source, str):
        return source
    path = _absolute(source, folder)
    return source if names_hub(source) and not Path(path).exists() else path


def _absolute(value: str, folder: Path) -> str:
    if not value or "\0" in value:
        return value
    return os.path.abspath(folder / Path(value).expanduser())  # noqa: PTH100 - drops ..


def _copy(value: Any) -> Any:
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _sentence(
    error: dict[str, Any], source: YamlFile | None, overrides: Sequence[str]
) -> UserError:
    keys: Keys = tuple(key for key in error["loc"] if not _is_union_branch(key))
    name = ".".join(str(key) for key in keys)
    where = _where(keys, name, source, overrides)
    if error["type"] == "extra_forbidden":
        return _unknown_key(keys, where)
    if error["type"] == "missing":
        return UserError(f"{name} is missing", where=where, hint=f"Add it: {_describe(keys)}")
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    shown = repr(error.get("input"))
    shown = shown if len(shown) <= 60 else shown[:57] + "…"
    value = "" if isinstance(error.get("input"), dict) else f" (got {shown})"
    return UserError(f"{name or 'the config'}: {message}{value}", where=where, hint=_describe(keys))


def _is_union_branch(key: str | int) -> bool:
    # pydantic names the branch of a union in `loc`, as in "literal['auto']" or "constrained-int".
    known = isinstance(key, int) or key.replace("_", "").isalnum()
    return not known or key in {"int", "float", "str"}


def _where(keys: Keys, name: str, source: YamlFile | None, overrides: Sequence[str]) -> str:
    if any(override.partition("=")[0].strip() == name for override in overrides):
        return "--set"
    return source.where(keys) if source is not None else ""


def _unknown_key(keys: Keys, where: str) -> UserError:
    section = field_at(keys[:-1])
    known = list(section.model_fields) if section is not None else []
    near = difflib.get_close_matches(str(keys[-1]), known, n=1, cutoff=0.5)
    name = ".".join(str(key) for key in keys)
    if near:
        hint = f"Did you mean {'.'.join([*map(str, keys[:-1]), near[0]])}?"
    else:
        hint = f"Known here: {', '.join(known)}."
    return UserError(f"{name} is not a known field", where=where, hint=hint)


def _describe(keys: Keys) -> str:
    section = field_at(keys[:-1]) if keys else None
    info = section.model_fields.get(str(keys[-1])) if section is not None else None
    return (info.description or "") if info is not None else ""


def _leaves(data: dict[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in data.items():
        name = f"{prefix}{key}"
        names += _leaves(value, f"{name}.") if isinstance(value, dict) else [name]
    return names
