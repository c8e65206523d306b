"""Presets and recipes: parts of a config that others start from.

A preset (configs/models) is about a model, a recipe (configs/recipes) about a task or a machine.
Both are configs with some fields set; `about` says what they are for, and `facts` the sizes that a
model's config.json has, so that a plan can be made without the network.
"""

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer_core.config.paths import looks_like_file, make_paths_absolute
from trainer_core.config.shipped import shipped
from trainer_core.config.yaml_file import YamlFile, read_yaml
from trainer_core.errors import UserError

_KINDS = ("models", "recipes")


@dataclass(frozen=True)
class Preset:
    """A preset as read: its fields (paths made absolute), what it is for, its model's sizes."""

    name: str
    file: YamlFile
    data: dict[str, Any]
    about: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> str | None:
        """The base model that it names."""
        model = self.data.get("model")
        return model.get("base") if isinstance(model, dict) else None


def shipped_presets() -> dict[str, Path]:
    """The presets that ship with the project, by name: models, recipes, the demo."""
    configs = shipped("configs")
    found = {path.stem: path for kind in _KINDS for path in sorted((configs / kind).glob("*.yaml"))}
    return {**found, "demo": configs / "demo" / "demo.yaml"}


def load_preset(name: str) -> Preset:
    """Read a preset by its name, or by the path of its file. Raises UserError."""
    if looks_like_file(name):
        path = Path(name)
    else:
        known = shipped_presets()
        if name not in known:
            raise UserError(f"there is no preset {name!r}", hint=_hint(name, list(known)))
        path = known[name]
    file = read_yaml(path)
    data = dict(file.data)
    about, facts = data.pop("about", {}), data.pop("facts", {})
    if not isinstance(about, dict) or not isinstance(facts, dict):
        key = "about" if not isinstance(about, dict) else "facts"
        raise UserError(f"{key} is not a mapping", where=file.where((key,)))
    if "preset" in data:
        raise UserError(
            "a preset cannot start from another preset",
            where=file.where(("preset",)),
            hint="Name both in the config: preset: [first, second].",
        )
    make_paths_absolute(data, path.parent)
    said = {str(key): str(value) for key, value in about.items()}
    return Preset(name if not looks_like_file(name) else path.stem, file, data, said, facts)


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}; or a path."
