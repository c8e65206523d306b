"""Paths in a config: relative to the file that names them, made absolute as it is read."""

import os
from pathlib import Path
from typing import Any

from trainer_core.config.data_section import SPLITS, names_hub

# What names a file or a folder in any case.
_PATHS = (("run", "folder"), ("lora", "adapter"))
# A model may also be a name on the hub, a template the name of a family: they are paths where such
# a file exists, or where they look like one.
_MAYBE_PATHS = (("model", "base"), ("model", "template"))
_DATA_PATHS = ("path", "inputs", "answers", "prompt", "file")


def make_paths_absolute(data: dict[str, Any], folder: Path) -> None:
    """Change every path in a config's plain data that is relative to `folder`."""
    for section, name in _PATHS:
        holder = data.get(section)
        if isinstance(holder, dict) and isinstance(holder.get(name), str):
            holder[name] = _absolute(holder[name], folder)
    for section, name in _MAYBE_PATHS:
        holder = data.get(section)
        value = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and isinstance(value, str) and value:
            path = _absolute(value, folder)
            if value.startswith((".", "~")) or _exists(path) or value.endswith(".jinja"):
                holder[name] = path
    rows = data.get("data")
    if isinstance(rows, dict):
        for split in SPLITS:
            if split in rows:
                rows[split] = _absolute_source(rows[split], folder)
        if isinstance(rows.get("split"), dict):
            rows["split"] = _absolute_source(rows["split"], folder)
    if "preset" in data:
        data["preset"] = _absolute_preset(data["preset"], folder)


def looks_like_file(preset: str) -> bool:
    """Whether a preset is named by its file rather than by its name."""
    return "/" in preset or "\\" in preset or preset.endswith((".yaml", ".yml"))


def _absolute_preset(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_absolute_preset(item, folder) for item in value]
    if isinstance(value, str) and looks_like_file(value):
        return _absolute(value, folder)
    return value


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
    return source if names_hub(source) and not _exists(path) else path


def _absolute(value: str, folder: Path) -> str:
    if not value or "\0" in value:
        return value
    expanded = os.path.expanduser(value)  # noqa: PTH111 - leaves ~nobody as it is
    return os.path.abspath(folder / expanded)  # noqa: PTH100 - drops ..


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
