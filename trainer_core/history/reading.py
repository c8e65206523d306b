"""Reading the facts of a run. A file that is damaged costs its own facts and no others."""

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from trainer_core.errors import BackpropError
from trainer_core.files import size_of
from trainer_core.history.facts import Material, Place, RunFacts, Setting
from trainer_core.history.made import exports_of, parts_of, predictions_of
from trainer_core.history.measured import (
    curve_facts,
    read_points,
    sampled_peak,
    speed,
    training_log,
)
from trainer_core.history.replay import read_replay
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.reading import finite
from trainer_core.runs.events import Event, Notice, decode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.going_on import can_resume, way_on
from trainer_core.runs.identity import read_identity
from trainer_core.runs.jsonl import read_lines
from trainer_core.runs.multi_run_events import Forgetting, RunStart
from trainer_core.runs.registry import RunEntry
from trainer_core.runs.trained import trained_places
from trainer_core.text import one_line

_MATERIAL: TypeAdapter[dict[str, tuple[int, str]]] = TypeAdapter(dict[str, tuple[int, str]])
# More warnings than a person reads.
MOST_WARNINGS = 50
# Of the events, which may be very many, only these are parsed.
_READ = tuple(f'"type":"{kind}"'.encode() for kind in ("warning", "run", "forgetting"))


def read_facts(entry: RunEntry) -> RunFacts:
    """What the folder of a run tells. Never fails for what lies in it."""
    status, folder = entry.status, entry.folder
    facts = RunFacts(
        id=entry.id,
        path=str(folder.path),
        state=entry.state,
        host=status.host,
        model=status.model,
        data=status.data,
        created=status.created,
        ended=status.ended,
        step=status.step,
        total_steps=status.total_steps,
        message=status.message,
        cause=status.cause,
        exit_status=status.exit_status,
        way_on=way_on(folder) if can_resume(folder) else "",
    )
    for read, name in (
        (_plan, "resolved.yaml"),
        (_measured, "training/training_metrics.jsonl"),
        (_curves, "curves"),
        (_identity, "identity.json"),
        (_said, "events.jsonl"),
        (_trained, "what was trained"),
        (_made, "exports and predictions"),
        (_replayed, "replay.json"),
    ):
        try:
            read(folder, facts)
        except (OSError, ValueError, ArithmeticError, BackpropError) as error:
            facts.unread.append(one_line(f"{name}: {error}", limit=200))
    facts.size = size_of(folder.path)
    return facts


def _plan(folder: RunFolder, facts: RunFacts) -> None:
    resolved = read_resolved(folder.resolved)
    if resolved is None:
        return
    facts.epochs = resolved.epochs
    for name, value in resolved.values().items():
        origin = resolved.origins.get(name)
        if origin is not None:
            facts.settings[name] = Setting(value=value, origin=origin.origin, why=origin.why)
    if resolved.memory is not None:
        facts.memory.device = resolved.memory.device
        facts.memory.planned = resolved.memory.total


def _measured(folder: RunFolder, facts: RunFacts) -> None:
    log = training_log(folder)
    facts.seconds, facts.tokens = log.seconds, log.tokens
    facts.resumes = max(0, log.sessions - 1)
    peak = finite((log.end or {}).get("memory_peak"))
    facts.memory.peak = int(peak) if peak is not None else None
    if log.end is None:
        facts.memory.peak = sampled_peak(folder, facts.memory.device)
        facts.memory.sampled = facts.memory.peak is not None


def _curves(folder: RunFolder, facts: RunFacts) -> None:
    facts.loss = curve_facts(read_points(folder, "loss"))
    facts.eval_loss = curve_facts(read_points(folder, "eval_loss"))
    facts.tokens_per_second = speed(folder)


def _identity(folder: RunFolder, facts: RunFacts) -> None:
    found = read_identity(folder)
    if found is None:
        if folder.identity.exists():
            raise ValueError("it cannot be understood")
        return
    facts.material = material_of(found)
    facts.base = str(found.get("base", ""))


def material_of(identity: dict[str, Any]) -> dict[str, Material]:
    """The splits that identity.json names. Raises ValueError where it is damaged."""
    return {
        split: Material(rows=rows, fingerprint=fingerprint)
        for split, (rows, fingerprint) in _MATERIAL.validate_python(identity.get("data")).items()
    }


def _said(folder: RunFolder, facts: RunFacts) -> None:
    """Warnings; of a multi-run its runs and what was forgotten."""
    parts = {part.number: part for part in parts_of(folder, facts.unread)}
    for event in _events(folder):
        if isinstance(event, Notice) and len(facts.warnings) < MOST_WARNINGS:
            facts.warnings.append(event.message)
        elif isinstance(event, RunStart) and not event.arm and event.run in parts:
            parts[event.run].name = event.name
        elif isinstance(event, Forgetting) and not event.arm:
            summary = event.summaries.get("merged", {}).get("loss")
            facts.forgetting = summary.forgetting if summary is not None else None
    facts.runs = list(parts.values())


def _events(folder: RunFolder) -> Iterator[Event]:
    for line, _ in read_lines(folder.events):
        if any(kind in line[:80] for kind in _READ):
            try:
                yield decode(line)
            except ValueError:  # of a newer version, or damaged
                continue


def _trained(folder: RunFolder, facts: RunFacts) -> None:
    facts.trained = [
        Place(
            name=place.name,
            path=str(place.path.relative_to(folder.path)),
            step=place.step,
            loss=place.loss,
        )
        for place in trained_places(folder)
    ]


def _made(folder: RunFolder, facts: RunFacts) -> None:
    facts.exports = exports_of(folder, facts.unread)
    facts.predictions = predictions_of(folder, facts.unread)


def _replayed(folder: RunFolder, facts: RunFacts) -> None:
    replay = read_replay(folder)
    facts.replay_of = replay.run if replay is not None else ""
