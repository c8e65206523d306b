"""`backprop attach`: watch a run that was started earlier, from any terminal."""

from typing import Annotated

import typer

from trainer_core.cli.launch import Watching, watch
from trainer_core.cli.options import Headless, Json
from trainer_core.runs.registry import find_run, list_runs
from trainer_core.runs.status import ENDED


def attach(
    run: Annotated[
        str | None,
        typer.Argument(
            help="An id, the start of one, a path or 'last'; else the run that goes on."
        ),
    ] = None,
    headless: Headless = False,
    json: Json = False,
) -> None:
    """Watch a run, living or ended."""
    if run is None:
        living = [entry for entry in list_runs() if entry.state not in {*ENDED, "died"}]
        entry = living[0] if living else find_run("last")
    else:
        entry = find_run(run)
    raise typer.Exit(watch(entry.folder, Watching(headless=headless, json=json)))
