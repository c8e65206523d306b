"""From the config on the screen to a running worker, as `backprop train` does it."""

from trainer_core.config.load import LoadedConfig
from trainer_core.planning.preflight import preflight
from trainer_core.runs.folder import RunFolder
from trainer_core.worker.launching import launch_run
from tui.config_session import with_absolute_paths


def start_run(text: str, loaded: LoadedConfig) -> RunFolder:
    """Start a run whose record is `text`, comments and all, with paths made absolute; returns when
    it can be watched. Takes a moment.

    Raises UserError before anything is written if the run could not work, and BackpropError if the
    worker does not start.
    """
    return launch_run(preflight(loaded), with_absolute_paths(text, loaded))
