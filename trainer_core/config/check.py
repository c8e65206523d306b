"""What a config's text says, and everything that is wrong with it: for a form that shows both."""

from dataclasses import dataclass
from pathlib import Path

from trainer_core.config.load import LoadedConfig, load_source
from trainer_core.config.mistakes import ConfigError, describe, field_at
from trainer_core.config.plain_data import at
from trainer_core.config.yaml_file import Keys, YamlFile, parse_yaml
from trainer_core.errors import UserError


@dataclass(frozen=True)
class CheckedText:
    """A text that is YAML: `loaded` if it is a valid config, else the mistakes in it."""

    text: str
    file: YamlFile
    loaded: LoadedConfig | None
    mistakes: tuple[ConfigError, ...] = ()


def check_text(text: str, path: str, folder: Path) -> CheckedText:
    """Read `text` as the config at `path` (a name for messages), whose paths are relative to
    `folder`. Raises UserError if it is no YAML mapping; comments alone are an empty one."""
    file = parse_yaml(text, path) if _says_something(text) else YamlFile(path, {})
    try:
        return CheckedText(text, file, load_source(file, folder))
    except ConfigError as error:
        mistakes = [part for wrong in error.every for part in _spelt_out(file, wrong)]
        return CheckedText(text, file, None, tuple(mistakes))
    except UserError as error:  # of a preset, or of another tool's file
        keys: Keys = ("preset",) if "preset" in file.data else ()
        wrong = ConfigError(keys, error.message, where=error.where, hint=error.hint)
        return CheckedText(text, file, None, (wrong,))


def _says_something(text: str) -> bool:
    lines = (line.strip("\ufeff \t") for line in text.splitlines())
    return any(line and not line.startswith("#") for line in lines)


def _spelt_out(file: YamlFile, wrong: ConfigError) -> list[ConfigError]:
    """Of a field that must be given and is still empty, say that it is missing; of a section, each
    such field."""
    if at(file.data, wrong.keys) is not None or not wrong.keys:
        return [wrong]
    section = field_at(wrong.keys)
    if section is not None and len(wrong.keys) == 1:
        needed = [name for name, info in section.model_fields.items() if info.is_required()]
        return [_missing((*wrong.keys, name), wrong) for name in needed] or [wrong]
    holder = field_at(wrong.keys[:-1])
    info = holder.model_fields.get(str(wrong.keys[-1])) if holder is not None else None
    return [_missing(wrong.keys, wrong)] if info is not None and info.is_required() else [wrong]


def _missing(keys: Keys, wrong: ConfigError) -> ConfigError:
    name = ".".join(map(str, keys))
    return ConfigError(
        keys, f"{name} is missing", where=wrong.where, hint=f"Add it: {describe(keys)}"
    )
