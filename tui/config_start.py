"""From the config on the screen to a running worker, as `backprop train` does it."""

from pathlib import Path

from trainer_core.config.load import LoadedConfig
from trainer_core.planning.preflight import preflight
from trainer_core.runs.folder import RunFolder, run_name
from trainer_core.runs.registry import new_run
from trainer_core.runs.status import new_status, write_status
from trainer_core.worker.client import start
from tui.config_session import with_absolute_paths


def start_run(text: str, loaded: LoadedConfig) -> RunFolder:
    """Start a run whose record is `text`, comments and all, with paths made absolute; returns when
    it can be watched. Takes a moment.

    Raises UserError before anything is written if the run could not work, and BackpropError if the
    worker does not start.
    """
    config = preflight(loaded).config
    name = config.run.name or run_name(config.model.base)
    output = Path(config.run.folder) if config.run.folder else None
    run_id, folder = new_run(name, output, with_absolute_paths(text, loaded))
    write_status(folder, new_status(run_id, "train", config.model.base, config.data.name))
    start(folder)
    return folder
