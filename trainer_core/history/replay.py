"""A run once more: a new one with the data and settings of an earlier one.

What the user gave is given again. What the plan, a preset or a default decided is kept as it was,
whatever the machine, the presets and the rules are now; but what an override makes wrong is planned
anew. Which values those are, the planner itself tells: they are others with the overrides than
without. How many steps there are follows from the data, and is counted anew where it was not given.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from trainer_core.config.load import LoadedConfig, load_source
from trainer_core.config.origin import Origin
from trainer_core.config.plain_data import without
from trainer_core.config.schema import RunConfig
from trainer_core.config.yaml_file import YamlFile, read_yaml
from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.hardware.facts import machine_facts
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

FORMAT = 1
_AS_IN = ", as in "
_LENGTH = ("training.steps", "training.epochs")


class Replay(BaseModel):
    """replay.json: the run that is repeated, the `values` that are kept of it with their `origins`,
    by dotted name, and of its `identity` the fingerprints of `data` and `base`, as far as they are
    known. `anew` names what was planned then and is planned anew."""

    format: int = FORMAT
    run: str
    path: str
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    anew: list[str] = []
    identity: dict[str, Any] = {}


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
    return _keep(again, replay), replay


def as_replayed(folder: RunFolder, loaded: LoadedConfig) -> LoadedConfig:
    """The config of a run, which keeps what its replay.json says if it is a replay and does not go
    on with something else. Raises UserError."""
    replay = read_replay(folder)
    return loaded if replay is None or folder.warm.exists() else _keep(loaded, replay)


def read_replay(folder: RunFolder) -> Replay | None:
    """What a run repeats; None for one that is no replay. Raises UserError if that is broken."""
    try:
        return Replay.model_validate_json(folder.replay.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise UserError(
            "it cannot be read", where=str(folder.replay), hint="Start the replay anew."
        ) from None


def write_replay(folder: RunFolder, replay: Replay) -> None:
    """Say what a new run repeats."""
    data = replay.model_dump_json(indent=1).encode() + b"\n"
    write_atomically(folder.replay, data, durable=True)


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


def _keep(loaded: LoadedConfig, replay: Replay) -> LoadedConfig:
    data = loaded.config.model_dump()
    for name, value in replay.values.items():
        section, _, field = name.partition(".")
        data[section][field] = value
    try:
        config = RunConfig.model_validate(data)
    except ValidationError as error:
        raise UserError(
            f"this does not go together with what is kept of {replay.run}: "
            f"{error.errors()[0]['msg']}",
            hint="Set the fields that it names too; auto plans one anew.",
        ) from None
    kept = {
        name: Origin(origin=o.origin, why=_why(o, replay)) for name, o in replay.origins.items()
    }
    return replace(loaded, config=config, kept=kept)


def _why(origin: Origin, replay: Replay) -> str:
    """What was decided then was not decided now; of a replay's replay the first run is named."""
    if origin.origin != "auto" or _AS_IN in origin.why:
        return origin.why
    return f"{origin.why}{_AS_IN}{replay.run}"
