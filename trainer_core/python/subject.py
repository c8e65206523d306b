"""What a Trainer speaks about: the model it would begin with, or what a run has trained."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer_core.config.load import LoadedConfig, load_config
from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError
from trainer_core.hardware.facts import machine_facts
from trainer_core.planning.bases import follow_adapter, known_facts
from trainer_core.planning.draft import draft
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.trained import ADAPTER_CONFIG, TrainedPlace, trained_places

# In place of the data's name, where none is looked at.
NO_DATA = "(none)"
_TEMPLATE = "chat_template.jinja"


@dataclass(frozen=True)
class Subject:
    """Weights to be used. `config` is that of their training, with its data; `loading` the same
    with nothing open, as it says how the base is loaded. `weights` is None for the base alone."""

    config: RunConfig
    loading: RunConfig
    weights: Path | None

    @property
    def whole(self) -> bool:
        """Whether the weights are a whole model's, not an adapter's."""
        return self.weights is not None and not (self.weights / ADAPTER_CONFIG).is_file()

    def base(self) -> "Subject":
        """The base alone."""
        return Subject(self.config, self.loading, None)


def trained_in(folder: RunFolder, checkpoint: str) -> Subject:
    """What a run has trained: `best` (the last where there was no validation), `last` or `step-N`.
    Raises UserError if it is not there, or another version wrote the run."""
    place = place_in(folder, checkpoint).path
    resolved = read_resolved(folder.resolved)
    if resolved is None:
        raise UserError(f"{folder.path} has no resolved.yaml", hint="Name its adapter's folder.")
    return Subject(resolved.config, resolved.config, place)


def begun_with(loaded: LoadedConfig) -> Subject:
    """What a training of this config would begin with: its base, with an adapter if it goes on with
    one. Raises UserError."""
    loaded = follow_adapter(loaded)
    facts = known_facts(loaded.config, loaded.facts, network=True)
    found = draft(loaded, machine_facts(), model=facts)
    if found.run is None:
        raise UserError(found.problem)
    adapter = loaded.config.lora.adapter
    return Subject(loaded.config, found.run.config, Path(adapter) if adapter else None)


def place_in(folder: RunFolder, checkpoint: str) -> TrainedPlace:
    """Where the weights called `checkpoint` are in a run. Raises UserError if it has none."""
    places = trained_places(folder)
    if not places:
        raise UserError(f"{folder.path} has trained nothing yet", hint="Call train() first.")
    if checkpoint == "best":
        return places[0]
    found = next((place for place in places if place.name == checkpoint), None)
    if found is None:
        there = ", ".join(place.name for place in places)
        raise UserError(f"{folder.path} has no {checkpoint}", hint=f"There are: {there}.")
    return found


def settings_to_go_on(folder: RunFolder, checkpoint: str) -> dict[str, Any]:
    """Settings of a training that goes on from what a run has trained: those of the run, but with
    its own name, folder and number of runs left out. Raises UserError."""
    place = place_in(folder, checkpoint).path
    given = _flat(load_config(folder.config).data)
    dropped = ("run.", "multi_run.")
    if not (place / ADAPTER_CONFIG).is_file():
        kept = {name: value for name, value in given.items() if not name.startswith(dropped)}
        return kept | {"model.base": str(place)}
    # What an adapter is made of is its own, whatever the run was asked for.
    kept = {
        name: value
        for name, value in given.items()
        if not name.startswith((*dropped, "lora.")) or name == "lora.dropout"
    }
    return kept | {"lora.adapter": str(place), "lora.init": "default"}


def settings_of_folder(folder: Path) -> dict[str, Any]:
    """Settings of a training that goes on with an adapter, or with a whole model."""
    settings = {"model.base": str(folder)}
    if (folder / ADAPTER_CONFIG).is_file() and (folder / _TEMPLATE).is_file():
        settings["model.template"] = str(folder / _TEMPLATE)
    return settings


def copy_weights(source: Path, target: Path) -> Path:
    """Copy what was trained to a folder that is new or empty. Raises UserError."""
    try:
        if target.exists() and any(target.iterdir()):
            raise UserError(f"{target} is not empty", hint="Name a new folder.")
        shutil.copytree(source, target, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise UserError(f"{target} cannot be written: {error}") from None
    return target


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found
