"""From a YAML file, flags and `--set` to a valid RunConfig, or one sentence on what is wrong."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from trainer_core.config.credentials import refuse_credentials
from trainer_core.config.imports import convert, tool_of
from trainer_core.config.mistakes import sentence, where_is
from trainer_core.config.origin import Origin
from trainer_core.config.paths import make_paths_absolute
from trainer_core.config.presets import Preset, load_preset
from trainer_core.config.schema import RunConfig
from trainer_core.config.yaml_file import YamlFile, dump_yaml, parse_scalar, read_yaml
from trainer_core.errors import UserError


@dataclass(frozen=True)
class LoadedConfig:
    """A valid config and where its values come from.

    `data` is what the user gave, with absolute paths; `given` names those fields (dotted, as in
    `training.steps`), `from_presets` the fields that a preset set, with its name. `facts` are the
    sizes of the base model as a preset states them. `notes` says what became of another tool's
    file. `kept` names the fields that are as in an earlier run, with the origin they had there.
    """

    config: RunConfig
    data: dict[str, Any]
    given: frozenset[str]
    from_presets: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kept: Mapping[str, Origin] = field(default_factory=dict)


def load_config(
    path: Path | None, overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None
) -> LoadedConfig:
    """Read a config file (or none), apply overrides of the form `training.steps=100`, or `values`
    by dotted name as they are, and validate.

    The file may also be one of another tool (see imports/). Paths in a file are relative to that
    file; paths in overrides to the current folder. Raises UserError naming path:line and the
    nearest right spelling.
    """
    source = read_yaml(path) if path is not None else YamlFile("the command line", {})
    folder = path.parent if path is not None else Path()
    return load_source(source, folder, overrides, values or {})


def load_source(
    source: YamlFile,
    folder: Path,
    overrides: Sequence[str] = (),
    values: Mapping[str, Any] = MappingProxyType({}),
) -> LoadedConfig:
    """As load_config, for what was read already; its paths are relative to `folder`."""
    notes: tuple[str, ...] = ()
    refuse_credentials(source, source.data)
    if tool_of(source.data) is not None:
        converted = convert(source)
        source, notes = converted.file, converted.notes
    data = deepcopy(source.data)
    make_paths_absolute(data, folder)
    for override in overrides:
        _apply(data, *_parsed(override))
    for name, value in values.items():
        _apply(data, name, value)
    given = [*(override.partition("=")[0].strip() for override in overrides), *values]
    refuse_credentials(source, data, given)
    _choose_length(data, given)
    make_paths_absolute(data, Path())
    return validate(data, source, given, notes)


def validate(
    data: dict[str, Any],
    source: YamlFile | None = None,
    overrides: Sequence[str] = (),
    notes: tuple[str, ...] = (),
) -> LoadedConfig:
    """Check plain data, and the presets that it names, against the schema. `overrides` names the
    fields that were given beside the file.

    Raises UserError for the first mistake.
    """
    presets = _presets(data, source, overrides)
    layers = [preset.data for preset in presets] + [data]
    whole: dict[str, Any] = {}
    for layer in layers:
        _make_way(whole, layer)
        _merge(whole, layer)
    try:
        config = RunConfig.model_validate(whole)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        files = [*([source] if source else []), *(preset.file for preset in reversed(presets))]
        raise sentence(details, files, overrides) from None
    return LoadedConfig(
        config,
        data,
        frozenset(leaves(data)),
        {name: preset.name for preset in presets for name in leaves(preset.data)},
        next((p.facts for p in reversed(presets) if p.facts and p.base == config.model.base), {}),
        notes,
    )


def dump_config(loaded: LoadedConfig) -> str:
    """The config as YAML: what the user gave, nothing more."""
    return dump_yaml(loaded.data)


def leaves(data: dict[str, Any], prefix: str = "") -> list[str]:
    """The dotted names of all values in a config's plain data."""
    names: list[str] = []
    for key, value in data.items():
        name = f"{prefix}{key}"
        names += leaves(value, f"{name}.") if isinstance(value, dict) else [name]
    return names


def _presets(
    data: dict[str, Any], source: YamlFile | None, overrides: Sequence[str]
) -> list[Preset]:
    names = data.get("preset")
    if names is None:
        return []
    where = where_is(("preset",), [source] if source else [], overrides)
    presets = []
    for name in names if isinstance(names, list) else [names]:
        if not isinstance(name, str) or not name:
            raise UserError("preset takes a name, a path, or a list of them", where=where)
        try:
            presets.append(load_preset(name))
        except UserError as error:
            if error.where:
                raise
            raise UserError(error.message, where=where, hint=error.hint) from None
    return presets


def _make_way(whole: dict[str, Any], layer: dict[str, Any]) -> None:
    """Steps replace the epochs of the layers below, and the other way round."""
    below, above = whole.get("training"), layer.get("training")
    if isinstance(below, dict) and isinstance(above, dict):
        for given, other in (("steps", "epochs"), ("epochs", "steps")):
            if above.get(given, "auto") != "auto":
                below.pop(other, None)


def _merge(into: dict[str, Any], layer: dict[str, Any]) -> None:
    """Let the values of `layer` win. Sections are merged field by field, all else is replaced."""
    for key, value in layer.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = deepcopy(value)


def _parsed(override: str) -> tuple[str, Any]:
    name, equals, value = override.partition("=")
    if not equals or not all(name.strip().split(".")):
        raise UserError(
            f"--set {override!r} is not of the form section.field=value",
            hint="For example: --set training.learning_rate=1e-4",
        )
    return name.strip(), parse_scalar(value)


def _apply(data: dict[str, Any], name: str, value: Any) -> None:
    keys = name.split(".")
    target = data
    for key in keys[:-1]:
        if target.get(key) is None:  # an empty section
            target[key] = {}
        target = target[key]
        if not isinstance(target, dict):
            raise UserError(f"--set {name}: {key!r} is a value, not a section")
    target[keys[-1]] = value


def _choose_length(data: dict[str, Any], given: Sequence[str]) -> None:
    """An override of the steps replaces the file's epochs, and the other way round."""
    lengths = {"training.steps", "training.epochs"} & set(given)
    training = data.get("training")
    if len(lengths) == 1 and isinstance(training, dict):
        chosen = lengths.pop().partition(".")[2]
        if training[chosen] != "auto":
            training["epochs" if chosen == "steps" else "steps"] = "auto"
