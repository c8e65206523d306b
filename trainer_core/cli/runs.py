"""`backprop runs`: what became of the runs of this user, wherever their folders are."""

import json as json_lines
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from trainer_core.cli.headless import say
from trainer_core.cli.runs_diff import diff_lines
from trainer_core.cli.runs_filters import (
    DataText,
    ModelText,
    NameText,
    Since,
    State,
    wanted_runs,
)
from trainer_core.cli.runs_page import page_lines
from trainer_core.cli.runs_rm import counted, rm
from trainer_core.cli.table import table
from trainer_core.errors import UserError
from trainer_core.files import write_parts_atomically
from trainer_core.history.choosing import ordered
from trainer_core.history.comparing import compare_runs
from trainer_core.history.measured import best_eval_loss, metrics_rows
from trainer_core.history.reading import read_facts
from trainer_core.runs.folder import RunFolder, typed_path
from trainer_core.runs.registry import RunEntry, find_run, list_runs
from trainer_core.text import clean, clean_json, duration, one_line

runs = typer.Typer(
    help="What became of runs: list, show, diff, export, rm. Alone it lists them.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
Run = Annotated[str, typer.Argument(metavar="RUN", help="An id, its start, a path or 'last'.")]
Limit = Annotated[int | None, typer.Option("-n", "--limit", min=1, help="At most so many.")]
Sort = Annotated[str, typer.Option(help="started (newest first), or lowest loss or eval.")]
JsonLines = Annotated[bool, typer.Option("--json", help="One run a line, as JSON.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@runs.callback()
def alone(
    context: typer.Context,
    state: State = None,
    model: ModelText = None,
    data: DataText = None,
    name: NameText = None,
    since: Since = None,
    limit: Limit = None,
    sort: Sort = "started",
    json: JsonLines = False,
) -> None:
    if context.invoked_subcommand is None:
        list_(state, model, data, name, since, limit, sort, json)


@runs.command("list")
def list_(
    state: State = None,
    model: ModelText = None,
    data: DataText = None,
    name: NameText = None,
    since: Since = None,
    limit: Limit = None,
    sort: Sort = "started",
    json: JsonLines = False,
) -> None:
    """List runs, newest first."""
    wanted = wanted_runs(state, model, data, name, since)
    everything = list_runs()
    entries = ordered(filter(wanted.fits, everything), sort)[:limit]
    if json:
        for entry in entries:
            facts = entry.status.model_dump(mode="json", exclude={"key_file", "address"})
            facts |= {"state": entry.state, "path": str(entry.folder.path)}
            sys.stdout.write(json_lines.dumps(facts) + "\n")
    elif entries:
        head = ("STATE", "RUN", "STEP", "LOSS", "EVAL", "STARTED", "FOLDER")
        print("\n".join(table([head, *map(_row, entries)])))
    else:
        print("No run is like that." if everything else "No runs yet. Start one: backprop demo")


@runs.command()
def show(run: Run = "last", json: AsJson = False) -> None:
    """Show one run: how it went, what it trained, what was made of it, its settings."""
    facts = read_facts(find_run(run))
    page = clean_json(facts.model_dump_json()) if json else clean("\n".join(page_lines(facts)))
    print(page)


@runs.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run, as everywhere.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The one beside it.")],
    everything: Annotated[bool, typer.Option("--all", help="Also what is the same.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with their curves, which opens offline."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Compare two runs: settings, data, curves, scores, speed and memory."""
    entries = [find_run(run) for run in (a, b)]
    found = compare_runs(*(read_facts(entry) for entry in entries))
    lines = diff_lines(found, everything=everything)
    if html is not None:
        from trainer_core.report.comparison import write_comparison  # a plotting library

        write_comparison(html, [(entry.id, entry.folder) for entry in entries], lines)
    print(clean_json(found.model_dump_json()) if json else clean("\n".join(lines)))


@runs.command()
def export(
    chosen: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="All of them if none is named.")
    ] = None,
    state: State = None,
    model: ModelText = None,
    data: DataText = None,
    name: NameText = None,
    since: Since = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there, instead of to stdout.")
    ] = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Each with the rows of its training log, too.")
    ] = False,
) -> None:
    """Write runs as JSON lines: everything that `show` knows, one run a line. The filters are those
    of `list`, of the runs that are named or of all."""
    file = typed_path(output) if output is not None else None
    wanted = wanted_runs(state, model, data, name, since)
    meant = [find_run(run) for run in chosen] if chosen else list_runs()
    entries = [entry for entry in meant if wanted.fits(entry)]
    lines = (_exported(entry, metrics=metrics) for entry in entries)
    if file is None:
        for line in lines:
            print(clean_json(line))
        return
    try:
        write_parts_atomically(file, (f"{line}\n".encode() for line in lines))
    except OSError as error:
        raise UserError(f"{output} cannot be written: {error.strerror}") from None
    say(f"{counted(len(entries))} written to {output}")


runs.command()(rm)


def _row(entry: RunEntry) -> tuple[str, ...]:
    status, validation = entry.status, best_eval_loss(entry.folder)
    return (
        entry.state,
        one_line(entry.id),
        f"{status.step:,}/{status.total_steps:,}" if status.total_steps else "-",
        f"{status.loss:.4f}" if status.loss is not None else "-",
        f"{validation:.4f}" if validation is not None else "-",
        f"{duration(time.time() - status.created)} ago",
        one_line(str(entry.folder.path)),
    )


def _exported(entry: RunEntry, *, metrics: bool) -> str:
    facts = read_facts(entry)
    if not metrics:
        return facts.model_dump_json()
    rows = _readable_rows(entry.folder)
    return json_lines.dumps({**facts.model_dump(mode="json"), "metrics": [*rows]})


def _readable_rows(folder: RunFolder) -> Iterator[dict[str, object]]:
    try:
        yield from metrics_rows(folder)
    except OSError:
        return
