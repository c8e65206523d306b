"""From a valid config to a running worker: check, make the run folder, start, watch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer_core.cli.dashboard import no_dashboard_because, open_dashboard
from trainer_core.cli.headless import follow, say
from trainer_core.config.load import LoadedConfig, dump_config
from trainer_core.history.replay import Replay
from trainer_core.planning.preflight import preflight
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import last_number
from trainer_core.runs.registry import find_run
from trainer_core.runs.status import read_status
from trainer_core.tokens.tokenizer import named_template
from trainer_core.worker.launching import launch_run, resume_run


@dataclass(frozen=True)
class Watching:
    """How the user wants to follow the run."""

    headless: bool = False
    json: bool = False
    fps: int = 10


def launch(
    loaded: LoadedConfig,
    output: Path | None,
    watching: Watching,
    *,
    wait_for: int | None = None,
    replay: Replay | None = None,
) -> int:
    """Start a new run and watch it; returns the exit status. With `wait_for` it waits until a GPU
    has so many bytes free; `replay` says which run it repeats. Raises UserError before anything is
    written if the run could not work.
    """
    planned = check(loaded)
    for note in loaded.notes:
        say(note)
    place = output or loaded.config.run.folder
    before = last_number(RunFolder(Path(place)).events) if place else 0
    folder = launch_run(planned, dump_config(loaded), output, wait_for=wait_for, replay=replay)
    if before:
        say("this folder holds this very run, not finished: it goes on")
    return watch(folder, watching, after=before)


def check(loaded: LoadedConfig) -> LoadedConfig:
    """What can be known to be wrong in a second; returns the config as planning will take it."""
    if loaded.config.model.template is not None:
        named_template(loaded.config.model.template)
    return preflight(loaded)


def resume(
    reference: str,
    watching: Watching,
    *,
    warm: bool = False,
    overrides: Sequence[str] = (),
    wait_for: int | None = None,
) -> int:
    """Go on with a run from its newest checkpoint; returns the exit status. With `warm`, with
    other settings, data or base than it had; with `wait_for` when a GPU has so many bytes free."""
    entry = find_run(reference)
    before = resume_run(entry, warm=warm, overrides=overrides, wait_for=wait_for)
    return watch(entry.folder, watching, after=before)


def watch(folder: RunFolder, watching: Watching, after: int = 0) -> int:
    """The dashboard, or lines of text where it is not wanted or not possible. An export is shown on
    the Export screen of its run."""
    status = read_status(folder)
    exports = status is not None and status.job == "export"
    run = RunFolder(folder.path.parents[1]) if exports else folder
    if not run.config.is_file():  # an export of a folder that is no run's
        return follow(folder, as_json=watching.json, after=after)
    reason = "" if watching.headless or watching.json else no_dashboard_because()
    if reason:
        say(f"{reason}, so this run is shown as text (--headless)")
    if reason or watching.headless or watching.json:
        return follow(folder, as_json=watching.json, after=after)
    return open_dashboard(run, watching.fps, page="export" if exports else "train")
