"""replay.json: what a run that repeats another keeps of it. replaying.py decides that."""

from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from trainer_core.config.load import LoadedConfig
from trainer_core.config.origin import Origin
from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.runs.folder import RunFolder

FORMAT = 1
_AS_IN = ", as in "


class Replay(BaseModel):
    """replay.json: the run that is repeated, the `values` that are kept of it with their `origins`,
    by dotted name, and of its `identity` the fingerprints of `data` and `base`, as far as they are
    known. `anew` names what is planned anew because of the overrides."""

    format: int = FORMAT
    run: str
    path: str
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    anew: list[str] = []
    identity: dict[str, Any] = {}


def as_replayed(folder: RunFolder, loaded: LoadedConfig) -> LoadedConfig:
    """The config of a run, which keeps what its replay.json says if it is a replay and does not go
    on with something else. Raises UserError."""
    replay = read_replay(folder)
    return loaded if replay is None or folder.warm.exists() else keep(loaded, replay)


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


def keep(loaded: LoadedConfig, replay: Replay) -> LoadedConfig:
    """The config with the values that a replay keeps. Raises UserError where they do not go with
    it."""
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
