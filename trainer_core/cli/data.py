"""`backprop data`: what is in the data, seen as the model will see it."""

import sys
import tempfile
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from trainer_core.cli.dashboard import open_dashboard
from trainer_core.cli.data_report import first_and_last, report_lines, row_lines
from trainer_core.config.load import dump_config
from trainer_core.config.schema import RunConfig
from trainer_core.errors import EXIT_FAILED
from trainer_core.text import clean, one_line


def data(
    what: Annotated[str, typer.Argument(metavar="FILE|CONFIG", help="Rows, or a run's YAML.")],
    model: Annotated[
        str | None, typer.Option(help="Whose tokens: a folder or a name on the hub.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The report as JSON on stdout.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if there is any problem at all.")
    ] = False,
    examples: Annotated[int, typer.Option(min=0, help="First and last examples to show.")] = 1,
    list_files: Annotated[
        bool, typer.Option("--list-files", help="Only list the files that are read.")
    ] = False,
    split_out: Annotated[
        Path | None, typer.Option(help="Write the rows of each split into this folder.")
    ] = None,
    tui: Annotated[
        bool, typer.Option("--tui", help="On the Data screen of the dashboard.")
    ] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any field of the config. Repeatable."),
    ] = None,
) -> None:
    """Report on data: formats, splits, tokens, problems, and examples with what is trained.

    Exit status 1 if a problem would stop a run.
    """
    from trainer_core.tokens.look import config_of, look

    loaded = config_of(what, model, overrides or [])
    if tui:
        raise typer.Exit(_on_screen(dump_config(loaded)))
    config = loaded.config
    for note in loaded.notes:
        print(f"note: {clean(note)}", file=sys.stderr)
    if list_files:
        _list_files(config)
        return
    prepared = look(config, progress=_progress)
    report = prepared.report
    shown = first_and_last(prepared, examples)
    if json:
        facts = {**report.model_dump(), "examples": [view.model_dump() for view in shown]}
        print(dumps(facts))
    else:
        print(
            "\n".join(
                [*report_lines(report), *(line for view in shown for line in row_lines(view))]
            )
        )
    if split_out is not None:
        from trainer_core.tokens.split_out import write_splits

        for path, rows in write_splits(config.data, prepared, split_out):
            print(f"{one_line(str(path))}: {rows:,} rows", file=sys.stderr)
    if report.stops or (strict and report.counts):
        raise typer.Exit(EXIT_FAILED)


def _on_screen(config: str) -> int:
    with tempfile.TemporaryDirectory(prefix="backprop-data-") as folder:
        file = Path(folder) / "data.yaml"
        file.write_text(config, encoding="utf-8")
        return open_dashboard(None, data=str(file))


def _list_files(config: RunConfig) -> None:
    from trainer_core.data.sources import listed_files

    sources = [*config.data.train, *config.data.validation, *config.data.test]
    for source in sources:
        for path in listed_files(source):
            print(one_line(path))


def _progress(rows: int, seconds: float) -> None:
    if sys.stderr.isatty():
        rate = rows / seconds if seconds else 0
        print(f"\r{rows:,} rows, {rate:,.0f} a second", end="\r", file=sys.stderr)
