"""A config on its way to having nothing open: each choice keeps its origin and reason."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from trainer_core.config.load import LoadedConfig
from trainer_core.config.origin import Origin
from trainer_core.config.schema import RunConfig


class Choices:
    """The config being resolved, and the origin of each of its values."""

    def __init__(self, loaded: LoadedConfig) -> None:
        self.config = loaded.config.model_copy(deep=True)
        self.origins = {name: _origin(name, loaded) for name in field_names(self.config)}

    def is_open(self, name: str) -> bool:
        """Whether a field still waits for a decision."""
        section, _, field = name.partition(".")
        return bool(getattr(getattr(self.config, section), field) == "auto")

    def decide(self, name: str, value: Any, why: str) -> None:
        """Set a field. The section is checked as a whole later, since two fields may belong
        together."""
        section, _, field = name.partition(".")
        getattr(self.config, section).__dict__[field] = value
        self.origins[name] = Origin(origin="auto", why=why)

    def decide_open(self, name: str, value: Any, why: str) -> None:
        """Set a field if it is still open."""
        if self.is_open(name):
            self.decide(name, value, why)

    def result(self) -> RunConfig:
        """The config, checked. Raises ValueError if the choices do not fit together."""
        return RunConfig.model_validate(self.config.model_dump())


def field_names(config: RunConfig) -> Iterator[str]:
    """The dotted name of each field of each section."""
    for section in type(config).model_fields:
        holder = getattr(config, section)
        if isinstance(holder, BaseModel):
            yield from (f"{section}.{name}" for name in type(holder).model_fields)


def _origin(name: str, loaded: LoadedConfig) -> Origin:
    """data.split is given where data.split.seed is."""

    def among(names: Any) -> str | None:
        return next((n for n in names if n == name or n.startswith(f"{name}.")), None)

    if name in loaded.kept:
        return loaded.kept[name]
    if among(loaded.given) is not None:
        return Origin(origin="user", why="as configured")
    preset = among(loaded.from_presets)
    if preset is not None:
        return Origin(origin="preset", why=f"the preset {loaded.from_presets[preset]}")
    return Origin(origin="default", why="the default")
