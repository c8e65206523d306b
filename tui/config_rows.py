"""What the form shows, row by row: pure functions of the config that is open."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from trainer_core.config.fields_list import section_docs
from trainer_core.config.form import FormField, entry_of, form_fields
from trainer_core.config.mistakes import ConfigError
from trainer_core.config.plain_data import at, has
from trainer_core.text import one_line
from tui.config_session import ConfigSession

# Longer than any terminal is wide.
LONGEST = 400


@dataclass(frozen=True)
class FormRow:
    """A field, or the heading of a section (`field` is None), which may be closed.

    `value` is what is set, or the default; `planned` what the plan makes of it, if anything else.
    `origin` is one of user, preset, auto, default and missing. `mistakes` and `note` stand below.
    """

    key: str
    label: str
    value: str = ""
    planned: str = ""
    origin: str = ""
    why: str = ""
    mistakes: tuple[str, ...] = ()
    note: str = ""
    field: FormField | None = None
    closed: bool = False


def form_rows(session: ConfigSession, closed: Collection[str], wanted: str = "") -> list[FormRow]:
    """The rows of the form, without the fields of closed sections; or those fields alone that have
    `wanted` in their name or description."""
    mistakes, values, docs = mistakes_at(session), _Values(session), section_docs()
    rows = [FormRow("", "this file", mistakes=mistakes[""])] if mistakes[""] else []
    found = [field for field in form_fields() if _fits(field, wanted)]
    for section, group in groupby(found, key=lambda field: field.section):
        fields = [values.row(field, mistakes[field.name]) for field in group]
        if section:
            is_closed = section in closed and not wanted
            rows.append(_heading(section, docs[section], fields, mistakes[section], is_closed))
            fields = [] if is_closed else fields
        rows += fields
    return rows


def mistakes_at(session: ConfigSession) -> dict[str, tuple[str, ...]]:
    """The sentences on what is wrong, under the field that they are about, or its section, or
    nothing where there is no such section."""
    names = {field.name for field in form_fields()}
    sections = section_docs()
    found: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for wrong in session.checked.mistakes if session.broken is None else ():
        name = next((name for name in _prefixes(wrong) if name in names or name in sections), "")
        found[name] += (_sentence(wrong),)
    return found


class _Values:
    """Where each value comes from: the text, the presets, the plan, the schema."""

    def __init__(self, session: ConfigSession) -> None:
        self._given = session.checked.file.data
        self._presets = session.checked.from_presets
        run = session.draft.run if session.draft is not None else None
        self._planned: dict[str, Any] = run.values() if run is not None else {}
        self._origins = run.origins if run is not None else {}
        self._data_problem = session.planner.data_problem if session.loaded is not None else ""

    def row(self, field: FormField, mistakes: tuple[str, ...]) -> FormRow:
        value, origin = self._value(field)
        planned, why = self._plan(field, value)
        if planned and origin == "default":
            origin = "auto"
        return FormRow(
            key=field.name,
            label=field.label,
            value=one_line(value, limit=LONGEST),
            planned=one_line(planned, limit=LONGEST),
            origin=origin,
            why=one_line(why, limit=LONGEST),
            mistakes=mistakes,
            note=one_line(self._data_problem) if field.name == "data.train" else "",
            field=field,
        )

    def _value(self, field: FormField) -> tuple[str, str]:
        """What is set, or the default, and who set it."""
        default, value = field.doc.default, at(self._given, field.keys)
        if value is not None or (default is not None and has(self._given, field.keys)):
            return entry_of(value) or "(empty)", "user"
        if field.name in self._presets:
            return entry_of(self._presets[field.name].value), "preset"
        if default is None:
            return "", "missing"
        word = default.strip('"')
        return word, "auto" if word == "auto" else "default"

    def _plan(self, field: FormField, value: str) -> tuple[str, str]:
        """What the plan makes of the field, if that is something else, and why."""
        if field.name not in self._origins:
            preset = self._presets.get(field.name)
            return "", f"from the preset {preset.preset}" if preset else ""
        origin = self._origins[field.name]
        planned = self._planned.get(field.name) if origin.origin == "auto" else None
        entry = entry_of(planned)
        return ("" if planned is None or entry == value else entry), origin.why


def _heading(
    section: str, doc: str, fields: list[FormRow], mistakes: tuple[str, ...], closed: bool
) -> FormRow:
    if closed:
        mistakes += tuple(wrong for field in fields for wrong in field.mistakes)
    given = sum(field.origin == "user" for field in fields)
    return FormRow(
        section,
        section,
        value=doc,
        origin=f"{given} set" if given else "",
        mistakes=mistakes,
        closed=closed,
    )


def _fits(field: FormField, wanted: str) -> bool:
    return wanted.casefold() in f"{field.name} {field.doc.description}".casefold()


def _prefixes(wrong: ConfigError) -> Iterator[str]:
    for length in range(len(wrong.keys), 0, -1):
        yield ".".join(map(str, wrong.keys[:length]))


def _sentence(wrong: ConfigError) -> str:
    """As everywhere, without the place, which is here."""
    sentence = wrong.message if not wrong.hint else f"{wrong.message.rstrip('.')}. {wrong.hint}"
    return one_line(sentence, limit=LONGEST)
