"""Going on with a run: which one, and whether it is the one that the caller describes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer_core.config.load import LoadedConfig, load_config
from trainer_core.errors import UserError
from trainer_core.runs.registry import RunEntry, find_run


def run_to_go_on(
    reference: str | Path, config: Path | None, settings: Mapping[str, Any]
) -> tuple[RunEntry, LoadedConfig]:
    """The run that `reference` means (a folder, an id, `last`), and its config as it was given.

    It goes on as it was planned. So `config` and `settings`, which the caller gave beside, must
    be what it was started with. Raises UserError where they are not, or the run has finished.
    """
    entry = find_run(str(reference))
    if entry.status.state == "finished":
        raise UserError(
            f"{entry.id} has finished",
            hint=f"Trainer.load({str(entry.folder.path)!r}) goes on from what it trained.",
        )
    if not entry.folder.config.is_file():
        raise UserError(f"{entry.folder.path} has no config.yaml, so it cannot be gone on with")
    own = load_config(entry.folder.config)
    given = load_config(config or entry.folder.config, values=settings)
    was, wished = own.config.model_dump(), given.config.model_dump()
    for section, values in wished.items():
        differing = _difference(was[section], values, section)
        if differing:
            raise UserError(
                f"{entry.id} was started with another {differing}, and goes on as it was planned",
                hint="Leave it out, or start a new run.",
            )
    return entry, own


def _difference(was: Any, wished: Any, name: str) -> str:
    """The dotted name of the first field that differs."""
    if isinstance(was, dict) and isinstance(wished, dict) and was.keys() == wished.keys():
        found = (_difference(was[key], wished[key], f"{name}.{key}") for key in was)
        return next((one for one in found if one), "")
    return "" if was == wished else name
