"""The lines of the Export screen's form: pure functions of what is chosen and known."""

import time
from dataclasses import dataclass

from rich.text import Text

from trainer_core.text import duration, one_line, size
from tui.export_found import PastExport
from tui.export_session import GGUF_TYPES, ExportSession, field_of
from tui.export_words import (
    FORMATS,
    OF_THE_REQUEST,
    TYPES,
    UNSET,
    USUAL,
    asked_words,
    format_details,
)
from tui.widgets.run_row import age
from tui.widgets.run_state import state_text


@dataclass(frozen=True)
class ExportRow:
    """One line. `ticked` is None for what is no format; `why_not` says why it cannot be had; a
    heading cannot be chosen. `details` are said while the line is under the cursor."""

    key: str
    label: str
    value: Text
    ticked: bool | None = None
    size: str = ""
    seconds: str = ""
    why_not: str = ""
    is_heading: bool = False
    details: Text | None = None


def export_rows(session: ExportSession, unfolded: bool) -> list[ExportRow]:
    """Every line: formats, settings, earlier exports; all types of GGUF if `unfolded`."""
    found = session.found
    if found is None:
        return []
    rows: list[ExportRow] = []
    if found.place is not None:
        rows = [_heading("What to write", "size", "time"), *_format_rows(session, unfolded)]
        rows += [_heading("How"), *(_setting_row(session, name) for name in settings(session))]
    if found.exports:
        rows.append(_heading("Exports of this run"))
        rows += [_past_row(one) for one in found.exports]
    return rows


def settings(session: ExportSession) -> list[str]:
    """The settings that matter to what is chosen, in their order on the screen."""
    chosen, found = session.chosen, session.found
    in_ollama = session.value("ollama") is not None
    base_matters = session.value("base") is not None or (found and found.base_is_quantized)
    matters = {
        "name": True,
        "check": True,
        "dtype": "merged" in chosen,
        "onnx_precision": "onnx" in chosen,
        "base": base_matters,
        "dequantize": base_matters,
        "ollama": True,
        "force": in_ollama,
        "ollama_base": in_ollama and "adapter-gguf" in chosen,
        "ollama_host": in_ollama,
        "ollama_remote": in_ollama and not session.ollama_place[1],
        "push": True,
    }
    return [name for name, wanted in matters.items() if wanted]


def _format_rows(session: ExportSession, unfolded: bool) -> list[ExportRow]:
    kinds = [*USUAL, *(kind for kind in GGUF_TYPES if kind not in USUAL)]
    shown = [k for k in kinds if unfolded or k in USUAL or f"gguf {k}" in session.chosen]
    more = len(kinds) - len(USUAL)
    words = "hides them again" if unfolded else f"{more} more types of GGUF"
    label, details = "▾ fewer" if unfolded else "▸ more", Text("more types of GGUF")
    fold = ExportRow("more", label, Text(f"⏎ {words}"), details=details)
    rows = [_format_row(session, name) for name in ("adapter", "adapter-gguf", "merged")]
    rows += [_format_row(session, f"gguf {kind}") for kind in shown]
    return [*rows, fold, _format_row(session, "onnx")]


def _format_row(session: ExportSession, what: str) -> ExportRow:
    name, _, kind = what.partition(" ")
    about = TYPES[kind] if kind else FORMATS[name]
    one, why_not = session.estimate_of(what), session.why_not(what)
    known = one is not None and not why_not
    return ExportRow(
        key=what,
        label=what,
        value=Text(about, "dim"),
        ticked=what in session.chosen,
        size=(size(one.bytes) if one.bytes is not None else "?") if one and known else "",
        seconds=duration(max(1.0, one.seconds)) if one and known and one.bytes is not None else "",
        why_not=why_not,
        details=format_details(session, what, about, why_not, one),
    )


def _setting_row(session: ExportSession, name: str) -> ExportRow:
    value = session.value(name)
    words = str(value) if value is not None else f"({UNSET[name]})"
    if isinstance(value, bool):
        words = "yes" if value else "no"
    shown = Text().append(one_line(words, limit=80), "" if name in session.values else "dim")
    field = field_of(name)
    about = field.doc.description if field is not None else OF_THE_REQUEST[name]
    details = Text().append(name, "bold").append(f"  {about}")
    if field is not None and field.choices and not isinstance(value, bool):
        details.append(f"\n⏎ goes through {', '.join(field.choices)}.")
    if name == "ollama" and value is not None:
        place, here = session.ollama_place
        where = "on this machine" if here else "on another machine"
        shown.append(f"  registered at {place}", "dim")
        details.append(f"\nIt is registered with the Ollama at {place}, {where}; then: ")
        details.append(f"ollama run {one_line(str(value), limit=80)}", "bold")
    return ExportRow(name, name.replace("_", " "), shown, details=details)


def _past_row(past: PastExport) -> ExportRow:
    value = Text().append_text(state_text(past.state))
    value.append(f"  {age(time.time() - past.status.created)}", "dim")
    value.append(f"  {asked_words(past.asked)}")
    details = Text().append(f"exports/{past.number}", "bold").append("  ⏎ looks at it\n")
    details.append(one_line(past.status.message) or str(past.folder.path))
    return ExportRow(f"export {past.number}", f"exports/{past.number}", value, details=details)


def _heading(label: str, size: str = "", seconds: str = "") -> ExportRow:
    return ExportRow(f"heading {label}", label, Text(), size=size, seconds=seconds, is_heading=True)
