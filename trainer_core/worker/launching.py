"""From a valid config to a living worker: the run folder, its record, its status, the start."""

from pathlib import Path

from trainer_core.config.load import LoadedConfig
from trainer_core.runs.folder import RunFolder, run_name
from trainer_core.runs.registry import new_run
from trainer_core.runs.status import new_status, write_status
from trainer_core.worker.client import start


def launch_run(loaded: LoadedConfig, record: str, output: Path | None = None) -> RunFolder:
    """Start a training whose config.yaml is `record`; returns when it can be watched.

    The run folder is `output`, else the config's `run.folder`, else one of its own under ./runs.
    Raises UserError if the folder cannot be made, BackpropError if the worker does not start.
    """
    config = loaded.config
    name = config.run.name or run_name(config.model.base)
    place = output or (Path(config.run.folder) if config.run.folder else None)
    run_id, folder = new_run(name, place, record)
    write_status(folder, new_status(run_id, "train", config.model.base, config.data.name))
    start(folder)
    return folder
