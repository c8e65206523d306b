"""Every field of the schema, as documentation, `explain` and the form need it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from trainer_core.config.mistakes import section_in
from trainer_core.config.schema import RunConfig


@dataclass(frozen=True)
class FieldDoc:
    """A field: its dotted name, what it takes, its default (None if it must be given), what for."""

    name: str
    takes: str
    default: str | None
    description: str


def all_fields() -> Iterator[FieldDoc]:
    """The fields in the schema's order; a nested section's follow where it first stands. An item of
    a list of sections is written as `data.train[]`."""
    yield from _fields(RunConfig, "", set())


def json_schema() -> dict[str, Any]:
    """JSON Schema of a config file, for editors."""
    schema = RunConfig.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "backprop run config",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def section_docs() -> dict[str, str]:
    """What each section is for, in order."""
    found = {}
    for name, info in RunConfig.model_fields.items():
        section = section_in(info.annotation)
        if section is not None:
            found[name] = (section.__doc__ or "").strip()
    return found


def _fields(model: type[BaseModel], prefix: str, told: set[type[BaseModel]]) -> Iterator[FieldDoc]:
    schema = model.model_json_schema()
    for name, info in model.model_fields.items():
        section = section_in(info.annotation)
        dotted = f"{prefix}{name}"
        if section is not None and not prefix:
            yield from _fields(section, f"{dotted}.", told)
            continue
        takes = _takes(schema["properties"][name], schema.get("$defs", {}))
        yield FieldDoc(dotted, takes, _default(info), info.description or _doc(section))
        if section is not None and section not in told:
            told.add(section)
            item = "[]" if "list" in takes else ""
            yield from _fields(section, f"{dotted}{item}.", told)


def _doc(section: type[BaseModel] | None) -> str:
    return (section.__doc__ or "").strip() if section is not None else ""


def _default(info: Any) -> str | None:
    if info.is_required():
        return None
    if info.default is PydanticUndefined:
        return "{}"
    if info.default is None:
        return "not set"
    return info.default if isinstance(info.default, str) else json.dumps(info.default)


def _takes(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A JSON Schema in a few words: `auto, or a whole number from 1`."""
    if "$ref" in schema:
        return "a section"
    if "anyOf" in schema:
        parts = [_takes(part, definitions) for part in schema["anyOf"]]
        return ", or ".join(dict.fromkeys(part for part in parts if part))
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _bounds(schema)
    if kind == "array":
        return f"a list of {_plural(_takes(schema.get('items', {}), definitions))}"
    names = {"boolean": "true or false", "string": "text", "object": "a mapping", "null": ""}
    return names.get(str(kind), "anything")


def _plural(words: str) -> str:
    plurals = {"text": "texts", "a section": "sections"}
    return plurals.get(words) or re.sub(r"^a (whole )?number", r"\1numbers", words)


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    words = []
    if low is not None:
        words.append(f"from {low:g}")
    if above is not None:
        words.append(f"above {above:g}")
    if below is not None and below < 2**24:
        words.append(f"below {below:g}")
    if high is not None and high < 1e5:  # the others are only to keep nonsense out
        words.append(f"to {high:g}")
    return f" {' '.join(words)}" if words else ""
