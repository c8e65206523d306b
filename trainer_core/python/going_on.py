"""How a Trainer goes on from what was trained before, and copies it."""

import shutil
from pathlib import Path
from typing import Any

from trainer_core.config.load import load_config
from trainer_core.engine.subject import place_in
from trainer_core.errors import UserError
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.trained import ADAPTER_CONFIG


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
