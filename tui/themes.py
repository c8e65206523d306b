"""Themes from themes/*.yaml, and which one the user chose last."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from textual.theme import Theme

from trainer_core.config.shipped import shipped
from trainer_core.config.yaml_file import read_yaml
from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.runs.registry import state_folder

DEFAULT = "backprop-dark"
MONOCHROME = "monochrome"


def load_themes(folder: Path | None = None) -> tuple[list[Theme], list[str]]:
    """Every theme that can be read, and a sentence for each that cannot."""
    themes, problems = [], []
    for path in sorted((folder or shipped("themes")).glob("*.yaml")):
        try:
            themes.append(_theme(read_yaml(path).data, path))
        except UserError as error:
            problems.append(str(error))
    return themes, problems


def chosen_theme() -> str:
    """The theme to start with: what was chosen last, or none of the colours under NO_COLOR."""
    if os.environ.get("NO_COLOR"):
        return MONOCHROME
    with suppress(OSError, ValueError, TypeError):
        name = json.loads(_settings().read_text(encoding="utf-8"))["theme"]
        if isinstance(name, str):
            return name
    return DEFAULT


def remember_theme(name: str) -> None:
    """Keep the choice for the next start; a home that cannot be written only forgets it."""
    with suppress(OSError):
        _settings().parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_settings(), json.dumps({"format": 1, "theme": name}).encode())


def _settings() -> Path:
    return state_folder() / "dashboard.json"


def _theme(data: dict[str, Any], path: Path) -> Theme:
    colors, variables = data.get("colors"), data.get("variables") or {}
    name = data.get("name")
    if not isinstance(name, str) or not isinstance(colors, dict) or "primary" not in colors:
        raise UserError("a theme needs a name and colors with primary", where=str(path))
    try:
        plain: dict[str, Any] = {str(key): str(value) for key, value in colors.items()}
        theme = Theme(
            name=name,
            dark=bool(data.get("dark", True)),
            ansi=bool(data.get("ansi", False)),
            variables={str(key): str(value) for key, value in dict(variables).items()},
            **plain,
        )
        theme.to_color_system().generate()
    except Exception as error:  # Textual names a bad colour in an error of its own
        raise UserError(f"not a theme: {error}", where=str(path)) from None
    return theme
