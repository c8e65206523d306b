"""Configs of other tools, turned into ours: each key mapped, or named as not supported and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trainer_core.config.imports.axolotl import AXOLOTL, read_axolotl
from trainer_core.config.imports.llama_factory import LLAMA_FACTORY, read_llama_factory
from trainer_core.config.imports.reading import Reading
from trainer_core.config.imports.treinar import generation, read_treinar
from trainer_core.config.yaml_file import YamlFile
from trainer_core.errors import UserError

# A file with one of these keys is ours, whatever else stands in it. No other tool has them.
_OURS = {"preset", "run", "model", "data", "training", "safety", "tracking", "export", "logging"}
_READERS: Mapping[str, Callable[[Reading], Mapping[str, tuple[str, str]]]] = {
    AXOLOTL: read_axolotl,
    LLAMA_FACTORY: read_llama_factory,
}


@dataclass(frozen=True)
class Converted:
    """Another tool's config as ours. `file` holds our fields, with the lines of the keys that they
    came from; `notes` say what was left out, and what will act differently."""

    tool: str
    file: YamlFile
    notes: tuple[str, ...] = ()


def tool_of(data: dict[str, Any]) -> str | None:
    """The tool that a YAML file is for, by its keys; None if it is one of ours, or of no tool known
    here."""
    if _OURS & data.keys():
        return None
    if "model_name_or_path" in data:
        return LLAMA_FACTORY
    if "base_model" in data:
        return AXOLOTL
    return generation(data)


def convert(source: YamlFile) -> Converted:
    """Turn a file of another tool into ours. Raises UserError for what cannot be a config."""
    tool = tool_of(source.data)
    if tool is None:
        raise UserError("not a file of a known tool", where=source.path)
    reading = Reading(source, tool)
    defaults = _READERS.get(tool, read_treinar)(reading)
    return Converted(tool, reading.result(), reading.notes(defaults))
