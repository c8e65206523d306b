"""The run that a training is: a new one, or an earlier one to go on with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer_core.config.load import LoadedConfig, dump_config, load_config
from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError
from trainer_core.planning.preflight import preflight
from trainer_core.runs.folder import RunFolder, run_name
from trainer_core.runs.registry import find_run, new_run
from trainer_core.tokens.tokenizer import named_template


@dataclass(frozen=True)
class StartedRun:
    """A run whose folder is there, and its config as it was given."""

    id: str
    folder: RunFolder
    config: RunConfig


def new_one(loaded: LoadedConfig, output: str | Path | None, *, several: bool) -> StartedRun:
    """A new run in `output`, else where the config says, else in a folder of its own under ./runs.
    `several` says that it must be a multi-run. Raises UserError before anything is written for what
    can be known to be wrong in a second."""
    config = loaded.config
    _require_several(config, several=several)
    if config.model.template is not None:
        named_template(config.model.template)
    preflight(loaded)
    named = output if output is not None else config.run.folder
    name = config.run.name or run_name(config.model.base)
    place = Path(named) if named is not None else None
    run_id, folder = new_run(name, place, dump_config(loaded))
    return StartedRun(run_id, folder, config)


def earlier_one(
    reference: str | Path, config: Path | None, settings: Mapping[str, Any], *, several: bool
) -> StartedRun:
    """The run that `reference` means (a folder, an id, `last`), which has not finished.

    It goes on as it was planned. So `config` and `settings`, which the caller gave beside, must
    be what it was started with. Raises UserError where they are not.
    """
    entry = find_run(str(reference))
    if entry.status.state == "finished":
        raise UserError(
            f"{entry.id} has finished",
            hint=f"Trainer.load({str(entry.folder.path)!r}) goes on from what it trained.",
        )
    if not entry.folder.config.is_file():
        raise UserError(f"{entry.folder.path} has no config.yaml, so it cannot be gone on with")
    own = load_config(entry.folder.config).config
    given = load_config(config or entry.folder.config, values=settings).config
    differing = _difference(own.model_dump(), given.model_dump())
    if differing:
        raise UserError(
            f"{entry.id} was started with another {differing}, and goes on as it was planned",
            hint="Leave it out, or start a new run.",
        )
    _require_several(own, several=several)
    return StartedRun(entry.id, entry.folder, own)


def _require_several(config: RunConfig, *, several: bool) -> None:
    if several and not config.multi_run.several:
        raise UserError(
            "there is only one run", hint="Say how many with runs, or name several datasets."
        )


def _difference(was: Any, wished: Any, name: str = "") -> str:
    """The dotted name of the first field that differs."""
    if isinstance(was, dict) and isinstance(wished, dict) and was.keys() == wished.keys():
        inner = f"{name}." if name else ""
        found = (_difference(was[key], wished[key], f"{inner}{key}") for key in was)
        return next((one for one in found if one), "")
    return "" if was == wished else name
