"""What the Config screen says of the config that is open: pure functions of what is known."""

from collections.abc import Collection, Iterable

from rich.style import Style
from rich.text import Text

from trainer_core.config.fields_list import section_docs
from trainer_core.config.form import form_fields
from trainer_core.config.presets import Preset
from trainer_core.config.yaml_file import Keys
from trainer_core.text import one_line
from tui.config_rows import FormRow
from tui.config_session import ConfigSession
from tui.screens.choose import Choice

VIEWS = ("form", "yaml", "plan")


def head_words(session: ConfigSession, view: str) -> str:
    """Which config this is, whether it is saved, how much is wrong; and which view, if not all."""
    file = session.file
    parts = [one_line(session.name)]
    if file is not None and file.is_copy:
        parts.append("(a copy: saving asks for a name)")
    parts.append("* not saved" if session.is_changed else "")
    parts.append(mistakes_words(session))
    if view:
        names = (f"[{name}]" if name == view else name for name in VIEWS)
        parts.insert(0, f"{' '.join(names)} (v)")
    return "  ".join(part for part in parts if part)


def mistakes_words(session: ConfigSession) -> str:
    """`✖ 2 to mend (n)`."""
    if session.broken is not None:
        return "✖ broken YAML"
    count = len(session.checked.mistakes)
    return f"✖ {count} to mend (n)" if count else ""


def why_no_plan(session: ConfigSession) -> str:
    """Why there is nothing to plan, or not yet."""
    if session.broken is not None:
        return "no plan while the YAML is broken"
    count = len(session.checked.mistakes)
    if count:
        return f"no plan yet: {count} {'field is' if count == 1 else 'fields are'} to mend"
    return "planning…"


def yaml_marks(session: ConfigSession, row: FormRow | None) -> dict[int, str]:
    """The marks before the YAML's lines: mistakes, and the field under the form's cursor."""
    if session.broken is not None:
        line = _line(session.broken.where)
        return {line: "✖"} if line else {}
    lines = session.checked.file.lines
    marks = {}
    if row is not None:
        keys: Keys = row.field.keys if row.field is not None else (row.key,)
        if keys in lines:
            marks[lines[keys]] = "▸"
    for wrong in session.checked.mistakes:
        keys = wrong.keys
        while keys and keys not in lines:
            keys = keys[:-1]
        if keys:
            marks[lines[keys]] = "✖"
    return marks


def preset_choices(presets: Iterable[Preset], chosen: Collection[str]) -> list[Choice]:
    """Each preset with what it is for, those that are chosen marked."""
    choices = []
    for preset in presets:
        about = {key: one_line(words) for key, words in preset.about.items()}
        line = Text("✔ " if preset.name in chosen else "  ", no_wrap=True, overflow="ellipsis")
        line.append(f"{about.pop('title', preset.name):<28} ", "bold")
        line.append(about.get("memory") or about.get("for") or "", "dim")
        details = Text(preset.name, "bold")
        for key, words in about.items():
            details.append(f"\n{key}: {words}", Style(bold=False))
        choices.append(Choice(preset.name, line, details))
    return choices


def field_at_line(session: ConfigSession, line: int) -> str:
    """The dotted name of the field, or section, to which a line of the YAML belongs."""
    names: dict[Keys, str] = {field.keys: field.name for field in form_fields()}
    names |= {(name,): name for name in section_docs()}
    lines = session.checked.file.lines
    found = [(at, keys) for keys, at in lines.items() if at <= line and keys in names]
    return names[max(found)[1]] if found else ""


def _line(where: str) -> int:
    number = where.rpartition(":")[2]
    return int(number) if number.isdecimal() else 0
