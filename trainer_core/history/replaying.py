"""A run once more: a new one with the data and settings of an earlier one.

What the user gave is given again. What the plan, a preset or a default decided is kept as it was,
whatever the machine, the presets and the rules are now; but what an override makes wrong is planned
anew. Which values those are, the planner itself tells: they are others with the overrides than
without. How many steps there are follows from the data, and is counted anew where it was not given.
"""

from collections.abc import Sequence
from typing import Any

from trainer_core.config.load import LoadedConfig, load_source
from trainer_core.config.plain_data import without
from trainer_core.config.schema import RunConfig
from trainer_core.config.yaml_file import YamlFile, read_yaml
from trainer_core.errors import UserError
from trainer_core.hardware.facts import machine_facts
from trainer_core.history.replay import Replay, keep
from trainer_core.planning.bases import follow_adapter, known_facts
from trainer_core.planning.draft import draft
from trainer_core.planning.early import DataStats
from trainer_core.planning.facts import ModelFacts
from trainer_core.planning.plan import ResolvedRun
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.identity import read_identity
from trainer_core.runs.registry import RunEntry
from trainer_core.tokens.look import look
from trainer_core.tokens.statistics import data_stats

_LENGTH = ("training.steps", "training.epochs")


def replay_of(entry: RunEntry, overrides: Sequence[str] = ()) -> tuple[LoadedConfig, Replay]:
    """The config of a run that repeats `entry`, and what it keeps of it. Raises UserError."""
    folder, resolved = entry.folder, read_resolved(entry.folder.resolved)
    source = YamlFile(f"the config of {entry.id}", _given(folder, resolved))
    again = load_source(source, folder.path, overrides)
    identity = read_identity(folder) or {}
    made_of = {name: identity[name] for name in ("data", "base") if name in identity}
    replay = Replay(run=entry.id, path=str(folder.path), identity=made_of)
    if resolved is not None:
        others = _others(load_source(source, folder.path), again) if overrides else set()
        others |= {".".join(x.partition("=")[0].strip().split(".")[:2]) for x in overrides}
        for name, value in resolved.values().items():
            origin = resolved.origins[name]
            if name in _LENGTH or origin.origin == "user":
                continue
            if name not in others:
                replay.values[name], replay.origins[name] = value, origin
            elif _is_open(again.config, name):
                replay.anew.append(name)
    return keep(again, replay), replay


def _is_open(config: RunConfig, name: str) -> bool:
    section, _, field = name.partition(".")
    return bool(getattr(getattr(config, section), field) == "auto")


def _given(folder: RunFolder, resolved: ResolvedRun | None) -> dict[str, Any]:
    """What the user gave for the run; its folder is not the new one's."""
    if resolved is not None and resolved.given:
        given = resolved.given
    elif folder.config.is_file():
        given = read_yaml(folder.config).data
    else:
        raise UserError(f"{folder.path} has no config.yaml, so it cannot be replayed")
    return without(given, ("run", "folder"))


def _others(before: LoadedConfig, now: LoadedConfig) -> set[str]:
    """What the planner makes another value of, by dotted name: both planned here, on the same
    machine. What the earlier config names may be gone meanwhile: its data and model then count as
    those of the new one."""
    before, now = follow_adapter(before), follow_adapter(now)
    seen = _seen(now)
    try:
        seen_before = _seen(before)
    except UserError:
        seen_before = seen
    values = _planned(before, *seen_before)
    return {name for name, value in _planned(now, *seen).items() if value != values[name]}


def _seen(loaded: LoadedConfig) -> tuple[ModelFacts | None, DataStats]:
    """The model and all of the data, which the earlier run has left in the token cache."""
    config = loaded.config
    model = known_facts(config, loaded.facts, network=True)
    return model, data_stats(look(config), config)


def _planned(loaded: LoadedConfig, model: ModelFacts | None, stats: DataStats) -> dict[str, Any]:
    found = draft(loaded, machine_facts(), stats, model=model)
    if found.run is None:
        raise UserError(found.problem)
    return found.run.values()
