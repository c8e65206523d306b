"""The schema as a form: what can be entered for each field, and how an entry becomes a value."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from trainer_core.config.fields_list import FieldDoc, all_fields
from trainer_core.config.mistakes import field_at
from trainer_core.config.yaml_file import parse_scalar, parse_yaml
from trainer_core.config.yaml_text import inline
from trainer_core.errors import UserError


@dataclass(frozen=True)
class FormField:
    """A field that is not a section.

    `choices` are all the words that it takes, where it takes nothing else; else `takes_text` and
    `takes_list` say whether an entry may be any text, and a list or mapping.
    """

    doc: FieldDoc
    keys: tuple[str, ...]
    choices: tuple[str, ...]
    takes_text: bool
    takes_list: bool

    @property
    def name(self) -> str:
        """Dotted, as in `training.steps`."""
        return self.doc.name

    @property
    def section(self) -> str:
        """The section that it stands in; empty for those beside the sections."""
        return self.keys[0] if len(self.keys) > 1 else ""

    @property
    def label(self) -> str:
        """Its name inside its section."""
        return ".".join(self.keys[1:] or self.keys)


@cache
def form_fields() -> tuple[FormField, ...]:
    """Every field in the schema's order, those of sections in sections among them."""
    docs = [doc for doc in all_fields() if "[" not in doc.name]
    holders = {doc.name.rpartition(".")[0] for doc in docs}
    return tuple(_field(doc) for doc in docs if doc.name not in holders)


def entry_of(value: Any) -> str:
    """A value as a person would enter it: text as it is, all else as YAML on one line."""
    if value is None:
        return ""
    return value if isinstance(value, str) else inline(value)


def value_of(field: FormField, entry: str) -> Any:
    """What an entry, not empty, means for a field. What the schema thinks of it is asked later.

    Raises UserError where it begins as YAML in brackets and goes on as something else.
    """
    entry = entry.strip()
    if not field.takes_list and field.takes_text:
        return entry
    if entry.startswith(("[", "{")):
        return parse_yaml(f"value: {entry}", "what was entered").data["value"]
    if field.takes_list and not field.takes_text:
        return [entry]
    return entry if field.takes_text else parse_scalar(entry)


def _field(doc: FieldDoc) -> FormField:
    keys = tuple(doc.name.split("."))
    section = field_at(keys[:-1])
    if section is None:
        raise UserError(f"{doc.name} stands in no section")
    parts = list(_parts(section.model_fields[keys[-1]].annotation))
    words = [str(word) for part in parts if get_origin(part) is Literal for word in get_args(part)]
    words += ["false", "true"] if bool in parts else []
    lists = any(get_origin(part) in (list, dict) for part in parts)
    others = any(part in (str, int, float) for part in parts) or lists
    return FormField(
        doc=doc,
        keys=keys,
        choices=() if others else tuple(words),
        takes_text="text" in doc.takes.split(", or ") or (lists and bool(words)),
        takes_list=lists,
    )


def _parts(annotation: Any) -> Iterator[Any]:
    """The types of which a value may be any."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif origin in (list, dict, Literal) or not get_args(annotation):
        yield annotation
    else:
        for argument in get_args(annotation):
            yield from _parts(argument)
