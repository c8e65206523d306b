"""`backprop report`: what became of a run, as Markdown with plots or as one HTML file."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from trainer_core.runs.registry import find_run
from trainer_core.text import one_line


def report(
    run: Annotated[str, typer.Argument(help="An id, the start of one, a path or 'last'.")] = "last",
    html: Annotated[
        bool, typer.Option("--html", help="Also one HTML file that opens offline.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Where the HTML goes; report.html in the run if not given.")
    ] = None,
) -> None:
    """Write a run's report anew and print where it is. Each run writes one when it ends."""
    from trainer_core.report.write import write_report  # a plotting library, only where needed

    folder = find_run(run).folder
    page = output or (folder.report_page if html else None)
    sys.stdout.write(f"{one_line(str(write_report(folder, page)))}\n")
