"""The schema for people: one field in words, the whole as Markdown, a file to start from."""

import difflib

from trainer_core.config.fields_list import FieldDoc, all_fields, section_docs
from trainer_core.errors import UserError

_HEAD = """# Configuration

Every field, made from the schema (`backprop config schema` prints it as JSON Schema, for editors
that complete YAML). `backprop config explain FIELD` shows one of them. A field that is not set has
its default; *auto* means that planning decides, and `backprop plan` and a run's `resolved.yaml` say
what and why. Secrets come from environment variables only (HF_TOKEN, WANDB_API_KEY).
"""


def explain(name: str) -> list[str]:
    """A field, or every field of a section, in lines of text. Raises UserError if there is none."""
    fields = {field.name: field for field in all_fields()}
    sections = section_docs()
    if name in fields:
        return _lines(fields[name])
    if name in sections:
        found = [field for field in fields.values() if field.name.startswith(f"{name}.")]
        return [f"{name}: {sections[name]}", *(line for field in found for line in _lines(field))]
    ends = [field for field in fields if field.rpartition(".")[2] == name]
    if len(ends) == 1:
        return _lines(fields[ends[0]])
    near = ends or difflib.get_close_matches(name, [*fields, *sections], n=3, cutoff=0.5)
    raise UserError(
        f"{name} is not a field",
        hint=f"Did you mean {' or '.join(near)}?" if near else f"Sections: {', '.join(sections)}.",
    )


def markdown() -> str:
    """docs/configuration.md."""
    parts = [_HEAD]
    fields = list(all_fields())
    parts += [_table([field for field in fields if "." not in field.name])]
    for section, doc in section_docs().items():
        inside = [field for field in fields if field.name.startswith(f"{section}.")]
        parts += [f"## {section}\n\n{doc}\n", _table(inside)]
    return "\n".join(parts)


def _lines(field: FieldDoc) -> list[str]:
    default = "must be given" if field.default is None else f"default: {field.default}"
    return [f"{field.name}: {field.takes} ({default})", f"    {field.description}"]


def _table(fields: list[FieldDoc]) -> str:
    rows = ["| field | takes | default | |", "|---|---|---|---|"]
    for field in fields:
        default = "*must be given*" if field.default is None else f"`{field.default}`"
        cells = (f"`{field.name}`", field.takes, default, field.description)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"
