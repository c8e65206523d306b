"""One run on a page of 80 columns."""

import json
import time
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from trainer_core.cli.table import table
from trainer_core.history.facts import (
    Artefact,
    ExportFacts,
    PartFacts,
    PredictionFacts,
    RunFacts,
    Setting,
)
from trainer_core.runs.multi_run_events import Spread
from trainer_core.text import duration, one_line, size

WIDTH = 80
_INDENT = 14
# What is read first of the settings: those that somebody decided.
_DECIDED = ("user", "preset", "auto")
MOST_WARNINGS = 5


def page_lines(run: RunFacts) -> list[str]:
    """What a person wants to know of a run."""
    lines = [f"{one_line(run.id)}: {run.state}"]
    for label, words in _facts(run):
        lines += _wrapped(f"  {label}", one_line(words), _INDENT)
    sections = (
        ("trained", table(_trained(run), "  ")),
        ("runs", table(_parts(run), "  ")),
        ("exports", list(_exports(run.exports))),
        ("predictions", list(_predictions(run.predictions))),
        ("warnings", list(_listed(run.warnings))),
        ("settings", list(_settings(run))),
        ("cannot be read", list(_listed(run.unread))),
    )
    for name, found in sections:
        lines += ["", name, *found] if found else []
    return lines


def shown(value: Any) -> str:
    """A setting's value in few words."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        places = [one.get("path") or one.get("hub") for one in value]
        if all(isinstance(place, str) for place in places):
            return one_line(", ".join(str(place) for place in places))
    return one_line(json.dumps(value))


def shortened(text: str, width: int) -> str:
    """`text` in `width` characters; of a path the end says more."""
    if len(text) <= width:
        return text
    return f"…{text[1 - width :]}" if "/" in text else f"{text[: width - 1]}…"


def _facts(run: RunFacts) -> Iterator[tuple[str, str]]:
    yield "message", run.message
    yield "replay of", run.replay_of
    yield "model", run.model
    rows = [f"{split} {one.rows:,}" for split, one in run.material.items() if one.rows]
    yield "data", f"{', '.join(rows)}{' of ' if rows else ''}{run.data}"
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created))
    work = f", at work for {duration(run.seconds)}" if run.seconds is not None else ""
    resumed = f", resumed {run.resumes} times" if run.resumes > 1 else ", resumed once"
    host = f", on {run.host}" if run.host else ""
    yield "begun", f"{begun}{work}{resumed if run.resumes else ''}{host}"
    yield "steps", _steps(run)
    if run.loss is not None:
        ends = f"{run.loss.first:.4f} → {run.loss.last:.4f}"
        yield "loss", f"{ends}, lowest {run.loss.best:.4f} at step {run.loss.best_step:,}"
    if run.eval_loss is not None:
        best = f"{run.eval_loss.best:.4f} at best (step {run.eval_loss.best_step:,})"
        yield "validation", f"{best}, {run.eval_loss.last:.4f} at last"
    if run.forgetting is not None:
        f = run.forgetting
        yield "forgotten", f"{f.value:.3f} nats ({f.low:.3f} to {f.high:.3f})"
    yield "memory", _memory(run)
    yield "resume", run.way_on
    yield "folder", f"{run.path} ({size(run.size)})"


def _steps(run: RunFacts) -> str:
    if not run.total_steps:
        return ""
    epochs = f", {run.epochs:.2f} epochs planned" if run.epochs is not None else ""
    tokens = f", {run.tokens:,} tokens" if run.tokens else ""
    speed = f", {run.tokens_per_second:,.0f} a second" if run.tokens_per_second else ""
    return f"{run.step:,} of {run.total_steps:,}{epochs}{tokens}{speed}"


def _memory(run: RunFacts) -> str:
    peak, planned = run.memory.peak, run.memory.planned
    if peak is None:
        return f"{size(planned)} of {run.memory.device} planned" if planned else ""
    most = f"{size(peak)} at most{', as sampled' if run.memory.sampled else ''}"
    if not planned or not peak:
        return most
    return f"{most}; the plan said {size(planned)}, {planned / peak - 1:+.0%}"


def _trained(run: RunFacts) -> Iterator[tuple[str, ...]]:
    for place in run.trained:
        step = f"step {place.step:,}" if place.step is not None else ""
        loss = f"validation {place.loss:.4f}" if place.loss is not None else ""
        yield one_line(place.name), step, loss, one_line(place.path)


def _parts(run: RunFacts) -> Iterator[tuple[str, ...]]:
    for part in run.runs:
        ends = (part.first_loss, part.last_loss)
        loss = f"loss {ends[0]:.4f} → {ends[1]:.4f}" if None not in ends else ""
        general = f"general {part.general_loss:.4f}" if part.general_loss is not None else ""
        steps = f"{part.steps:,} steps" if part.steps is not None else ""
        yield str(part.number), one_line(part.name, limit=20), steps, loss, general, _state(part)


def _state(part: PartFacts) -> str:
    if part.undone:
        return "its merge was undone"
    return one_line(part.early) if part.done else "not done"


def _exports(exports: list[ExportFacts]) -> Iterator[str]:
    for export in exports:
        yield from _wrapped(f"  {export.place}", f"{export.state}{_after(export.message)}", _INDENT)
        for made in export.artefacts:
            yield from _wrapped(f"    {one_line(made.path)}: ", _checked(made), 6)


def _checked(made: Artefact) -> str:
    if made.passed is None:
        return "not checked"
    return "check passed" if made.passed else f"CHECK FAILED{_after(made.differs)}"


def _predictions(predictions: list[PredictionFacts]) -> Iterator[str]:
    for one in predictions:
        rows = f", {one.rows:,} row{'s' if one.rows != 1 else ''}" if one.rows else ""
        what = f"{one.state}: {one.model}, {one_line(one.asked, limit=40)}{rows}"
        beside = f"; beside {one.other_model}" if one.compared else ""
        yield from _wrapped(f"  {one.place}  ", one_line(f"{what}{beside}"), 4)
        names = dict.fromkeys([*one.scores, *one.compared])
        heads = [("", "value", "difference" if beside else "")] if names else []
        lines = [
            (one_line(name), interval(one.scores.get(name)), interval(one.compared.get(name), "+"))
            for name in names
        ]
        yield from table([*heads, *lines], "    ")


def interval(found: Spread | None, sign: str = "") -> str:
    """A number with its 95 % interval."""
    if found is None:
        return ""
    return f"{found.value:{sign}.3f}  [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def _settings(run: RunFacts) -> Iterator[str]:
    chosen = {n: s for n, s in run.settings.items() if s.origin in _DECIDED}
    name_width = max((len(name) for name in chosen), default=0)
    for name, setting in chosen.items():
        head = f"  {name:<{name_width}}  "
        value = shortened(shown(setting.value), 24)
        yield shortened_line(f"{head}{value:<14}  {origin_words(setting)}")


def origin_words(setting: Setting) -> str:
    """`user`, or `auto: why it is so`."""
    if setting.why in ("", "as configured", "the default"):
        return setting.origin
    return f"{setting.origin}: {one_line(setting.why)}"


def shortened_line(line: str) -> str:
    """A line that fits on the page."""
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _listed(lines: list[str]) -> Iterator[str]:
    for line in lines[:MOST_WARNINGS]:
        yield from _wrapped("", one_line(line), 2)
    if len(lines) > MOST_WARNINGS:
        yield f"  and {len(lines) - MOST_WARNINGS:,} more"


def _after(words: str) -> str:
    return f": {one_line(words, limit=2000)}" if words else ""


def _wrapped(head: str, words: str, indent: int) -> list[str]:
    """Words beside their head, in as many lines as they take; nothing without words."""
    return wrap(
        words,
        WIDTH,
        initial_indent=head.ljust(indent),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
