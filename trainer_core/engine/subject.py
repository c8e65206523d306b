"""What is asked or scored: what was trained, or the model that a training would begin with."""

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
from trainer_core.runs.trained import ADAPTER_CONFIG, TrainedPlace, run_of, trained_places

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

    @property
    def knows_its_data(self) -> bool:
        """Whether the config is that of a training, and not made up for weights alone."""
        return all(Path(one.path or "").name != NO_DATA for one in self.config.data.train)

    def base(self) -> "Subject":
        """The base alone."""
        return Subject(self.config, self.loading, None)


def trained_in(folder: RunFolder, checkpoint: str) -> Subject:
    """What a run has trained: `best` (the last where there was no validation), `last` or `step-N`.
    Raises UserError if it is not there, or another version wrote the run."""
    place = place_in(folder, checkpoint).path
    config = _resolved(folder)
    return Subject(config, config, place)


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


def subject_in(path: Path, checkpoint: str | None = None, *, base: bool = False) -> Subject:
    """What lies in a folder: a run (its weights called `checkpoint`, the best if None), weights
    inside a run, or an adapter or a model alone; its base with `base`. Raises UserError."""
    run = run_of(path)
    if run is None:
        named = settings_of_folder(path) | {"data.train": NO_DATA}
        found = begun_with(load_config(None, values=named))
    elif base and not run.resolved.is_file():
        found = begun_with(load_config(run.config))
    elif path == run.path and not base:
        found = trained_in(run, checkpoint or "best")
    else:
        config = _resolved(run)
        found = Subject(config, config, path)
    return found.base() if base else found


def settings_of_folder(folder: Path) -> dict[str, Any]:
    """Settings of a training that goes on with an adapter, or with a whole model."""
    settings = {"model.base": str(folder)}
    if (folder / ADAPTER_CONFIG).is_file() and (folder / _TEMPLATE).is_file():
        settings["model.template"] = str(folder / _TEMPLATE)
    return settings


def place_in(folder: RunFolder, checkpoint: str) -> TrainedPlace:
    """Where the weights called `checkpoint` are in a run. Raises UserError if it has none."""
    places = trained_places(folder)
    if not places:
        raise UserError(f"{folder.path} has trained nothing yet", hint="Train first.")
    if checkpoint == "best":
        return places[0]
    found = next((place for place in places if place.name == checkpoint), None)
    if found is None:
        there = ", ".join(place.name for place in places)
        raise UserError(f"{folder.path} has no {checkpoint}", hint=f"There are: {there}.")
    return found


def _resolved(folder: RunFolder) -> RunConfig:
    resolved = read_resolved(folder.resolved)
    if resolved is None:
        raise UserError(f"{folder.path} has no resolved.yaml", hint="Name its adapter's folder.")
    return resolved.config
