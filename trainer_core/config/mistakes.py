"""What is wrong with a config, in one sentence: the field, the line, and the nearest right one."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from trainer_core.config.schema import RunConfig
from trainer_core.config.yaml_file import Keys, YamlFile
from trainer_core.errors import UserError


class ConfigError(UserError):
    """A field that is missing, unknown or wrong. `keys` say where it stands in the config;
    `suggestion` is the name that an unknown one probably means. `every` are all that was found
    wrong with the config, this one the first."""

    every: tuple["ConfigError", ...] = ()

    def __init__(
        self,
        keys: Keys,
        message: str,
        *,
        where: str = "",
        hint: str = "",
        unknown: bool = False,
        suggestion: str = "",
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.keys = keys
        self.unknown = unknown
        self.suggestion = suggestion


def sentence(
    errors: Sequence[Mapping[str, Any]], files: Sequence[YamlFile], overrides: Sequence[str]
) -> ConfigError:
    """The first of pydantic's errors as a sentence, with those of all fields. `files` are those
    that the config was made from, the first that has the field is named; `overrides` come before
    all of them."""
    wrong: dict[Keys, list[Mapping[str, Any]]] = {}
    for error in errors:
        wrong.setdefault(_keys(error), []).append(error)
    every = tuple(_sentence(branches, files, overrides) for branches in wrong.values())
    every[0].every = every
    return every[0]


def _sentence(
    branches: Sequence[Mapping[str, Any]], files: Sequence[YamlFile], overrides: Sequence[str]
) -> ConfigError:
    """What is wrong with one field, of which pydantic may have tried several kinds."""
    error = branches[0]
    keys = _keys(error)
    name = ".".join(str(key) for key in keys)
    where = where_is(keys, files, overrides)
    if error["type"] == "extra_forbidden":
        return _unknown_key(keys, where)
    if error["type"] == "missing" or (error.get("input") is None and _is_needed(keys)):
        hint = f"Add it: {describe(keys)}"
        return ConfigError(keys, f"{name} is missing", where=where, hint=hint)
    given = error.get("input")
    shown = repr(given)
    shown = shown if len(shown) <= 60 else shown[:57] + "…"
    value = "" if isinstance(given, dict) else f" (got {shown})"
    hint = _nearest(given, _words(branches)) or describe(keys)
    message = f"{name or 'the config'}: {_message(branches)}{value}"
    return ConfigError(keys, message, where=where, hint=hint)


def _keys(error: Mapping[str, Any]) -> Keys:
    place = error["loc"]
    # An unknown key comes last and may be any text; before it are only names of ours.
    known = len(place) - (error["type"] == "extra_forbidden")
    return (*(key for key in place[:known] if not _is_union_branch(key)), *place[known:])


def _message(branches: Sequence[Mapping[str, Any]]) -> str:
    """What the branches of a union have to say, each of which refused the value."""
    words = _words(branches)
    others = [error for error in branches if error["type"] != "literal_error"]
    if not others:
        return f"should be one of {', '.join(words)}"
    message = str(others[0]["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    message = message[0].lower() + message[1:]
    return f"{message}, or {' or '.join(words)}" if words else message


def _words(branches: Sequence[Mapping[str, Any]]) -> list[str]:
    """The words that a field takes."""
    found = [
        str(error["ctx"]["expected"]) for error in branches if error["type"] == "literal_error"
    ]
    return [word.strip().strip("'") for text in found for word in re.split(r",| or ", text)]


def _nearest(given: object, words: Sequence[str]) -> str:
    """The word that was probably meant."""
    near = difflib.get_close_matches(str(given).lower(), words, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near and isinstance(given, str) else ""


def field_at(keys: Sequence[str | int]) -> type[BaseModel] | None:
    """The section of the schema at `keys`, or None where there is none."""
    model: type[BaseModel] | None = RunConfig
    for key in keys:
        if isinstance(key, int):
            continue  # an item of a list is described where the list is
        info = model.model_fields.get(key) if model is not None else None
        model = section_in(info.annotation) if info is not None else None
    return model


def describe(keys: Keys) -> str:
    """What the field at `keys` is for; empty if there is no such field."""
    section = field_at(keys[:-1]) if keys else None
    info = section.model_fields.get(str(keys[-1])) if section is not None else None
    return (info.description or "") if info is not None else ""


def _is_needed(keys: Keys) -> bool:
    section = field_at(keys[:-1])
    info = section.model_fields.get(str(keys[-1])) if section is not None and keys else None
    return info is not None and info.is_required()


def section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds: itself, or as an item of a list, or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (section_in(argument) for argument in get_args(annotation))
    return next((section for section in found if section is not None), None)


def _is_union_branch(key: str | int) -> bool:
    # pydantic names the branch of a union in `loc`, as in "literal['auto']" or "constrained-int".
    known = isinstance(key, int) or key.replace("_", "").isalnum()
    return not known or key in {"int", "float", "str"}


def where_is(keys: Keys, files: Sequence[YamlFile], overrides: Sequence[str]) -> str:
    """Where a field was given: `--set`, or path:line in the first of `files` that has it."""
    name = ".".join(str(key) for key in keys)
    if any(name == other or name.startswith(f"{other}.") for other in overrides):
        return "--set"
    holder = next((file for file in files if keys in file.lines), files[0] if files else None)
    return holder.where(keys) if holder is not None else ""


def _unknown_key(keys: Keys, where: str) -> ConfigError:
    section = field_at(keys[:-1])
    known = list(section.model_fields) if section is not None else []
    near = difflib.get_close_matches(str(keys[-1]), known, n=1, cutoff=0.5)
    if near:
        suggestion = ".".join([*map(str, keys[:-1]), near[0]])
    else:
        suggestion = _same_name_elsewhere(str(keys[-1]))
    name = ".".join(str(key) for key in keys)
    return ConfigError(
        keys,
        f"{name} is not a known field",
        where=where,
        hint=f"Did you mean {suggestion}?" if suggestion else f"Known here: {', '.join(known)}.",
        unknown=True,
        suggestion=suggestion,
    )


def _same_name_elsewhere(name: str) -> str:
    """A field of that name, or almost, in any section; empty if there is none."""
    names = {
        field: f"{section}.{field}"
        for section in RunConfig.model_fields
        if (model := field_at([section])) is not None
        for field in model.model_fields
    }
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    return names[near[0]] if near else ""
