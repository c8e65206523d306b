"""What a config's text says, and everything that is wrong with it: for a form that shows both."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer_core.config.load import LoadedConfig, leaves, load_source
from trainer_core.config.mistakes import ConfigError, describe, field_at
from trainer_core.config.paths import make_paths_absolute
from trainer_core.config.plain_data import at
from trainer_core.config.presets import load_preset
from trainer_core.config.yaml_file import Keys, YamlFile, parse_yaml
from trainer_core.errors import UserError


@dataclass(frozen=True)
class FromPreset:
    """A value that a preset sets, and the preset's name."""

    value: Any
    preset: str


@dataclass(frozen=True)
class CheckedText:
    """A text that is YAML: `loaded` if it is a valid config, else the mistakes in it. In any case
    what its presets set, by dotted name."""

    text: str
    file: YamlFile
    loaded: LoadedConfig | None
    mistakes: tuple[ConfigError, ...] = ()
    from_presets: dict[str, FromPreset] = field(default_factory=dict)


def check_text(text: str, path: str, folder: Path) -> CheckedText:
    """Read `text` as the config at `path` (a name for messages), whose paths are relative to
    `folder`. Raises UserError if it is no YAML mapping; comments alone are an empty one."""
    file = parse_yaml(text, path) if _says_something(text) else YamlFile(path, {})
    presets = _from_presets(file, folder)
    try:
        return CheckedText(text, file, load_source(file, folder), from_presets=presets)
    except ConfigError as error:
        mistakes = [part for wrong in error.every for part in _spelt_out(file, wrong)]
        return CheckedText(text, file, None, tuple(mistakes), presets)
    except UserError as error:  # of a preset, or of another tool's file
        keys: Keys = ("preset",) if "preset" in file.data else ()
        wrong = ConfigError(keys, error.message, where=error.where, hint=error.hint)
        return CheckedText(text, file, None, (wrong,), presets)


def _says_something(text: str) -> bool:
    lines = (line.strip("\ufeff \t") for line in text.splitlines())
    return any(line and not line.startswith("#") for line in lines)


def _from_presets(file: YamlFile, folder: Path) -> dict[str, FromPreset]:
    data = {"preset": file.data.get("preset")}
    make_paths_absolute(data, folder)
    named = data["preset"] if isinstance(data["preset"], list) else [data["preset"]]
    found: dict[str, FromPreset] = {}
    for name in named:
        if isinstance(name, str) and name:
            with suppress(UserError):  # told when the whole is loaded
                preset = load_preset(name)
                for leaf in leaves(preset.data):
                    value = at(preset.data, tuple(leaf.split(".")))
                    found[leaf] = FromPreset(value, preset.name)
    return found


def _spelt_out(file: YamlFile, wrong: ConfigError) -> list[ConfigError]:
    """Of a section that is not there, or empty, each field that must be given in it."""
    section = field_at(wrong.keys)
    if len(wrong.keys) != 1 or section is None or at(file.data, wrong.keys) is not None:
        return [wrong]
    needed = [(*wrong.keys, name) for name, i in section.model_fields.items() if i.is_required()]
    return [_missing(keys, wrong.where) for keys in needed] or [wrong]


def _missing(keys: Keys, where: str) -> ConfigError:
    name = ".".join(map(str, keys))
    return ConfigError(keys, f"{name} is missing", where=where, hint=f"Add it: {describe(keys)}")
