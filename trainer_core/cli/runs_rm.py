"""`backprop runs rm`: say what goes, ask, remove it."""

import json as json_lines
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from trainer_core.cli.runs_filters import (
    DataText,
    ModelText,
    NameText,
    Since,
    State,
    wanted_runs,
)
from trainer_core.cli.table import table
from trainer_core.errors import UserError
from trainer_core.history.choosing import Wanted, moment_of
from trainer_core.history.removing import Removal, What, removable, removal_of, remove
from trainer_core.runs.registry import RunEntry, find_run, list_runs, runs_within
from trainer_core.text import clean_json, one_line, size


def rm(
    chosen: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Ids, their starts, or paths.")
    ] = None,
    state: State = None,
    model: ModelText = None,
    data: DataText = None,
    name: NameText = None,
    since: Since = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only those not touched for 30d, say.")
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="The same as --state failed,died.")
    ] = False,
    checkpoints_only: Annotated[
        bool,
        typer.Option(
            "--checkpoints-only",
            help="Only their checkpoints; what was trained stays, and of a run that has not "
            "finished the newest checkpoint.",
        ),
    ] = False,
    keep_adapter: Annotated[
        bool,
        typer.Option(
            "--keep-adapter",
            help="Of finished runs, all but what they trained and what is known of that.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="What was removed, one run a line, as JSON.")
    ] = False,
) -> None:
    """Remove runs and their folders: those that are named, or all that the filters leave. A run
    that goes on is never touched."""
    if failed:
        state = [*(state or []), "failed", "died"]
    wanted = wanted_runs(state, model, data, name, since)
    untouched_since = moment_of(older_than) if older_than is not None else None
    if not chosen and wanted == Wanted() and untouched_since is None:
        raise UserError(
            "no run is named", hint="Name some, or say which: --failed, --older-than 30d."
        )
    if checkpoints_only and keep_adapter:
        raise UserError("--checkpoints-only and --keep-adapter leave different things: say one")
    what: What = "checkpoints" if checkpoints_only else "rest" if keep_adapter else "all"
    within = runs_within()
    found = [
        removal_of(entry, within, what)
        for entry in _meant(chosen, within, what)
        if wanted.fits(entry) and (untouched_since is None or _touched(entry) < untouched_since)
    ]
    removals = [removal for removal in found if removal.parts != ()]
    out = sys.stderr if json else sys.stdout  # where a person reads
    if not removals:
        print("There is nothing to remove.", file=out)
        return
    print("\n".join(table([_row(removal) for removal in removals])), file=out)
    total = f"{size(sum(removal.size for removal in removals))} of {counted(len(removals))}"
    if not yes and not _agrees(f"Remove {total}?"):
        print("Nothing was removed.", file=out)
        return
    if json:
        remove(*removals, told=lambda removal: print(_as_json(removal), flush=True))
    else:
        remove(*removals)
        print(f"Removed: {total}.")


def counted(runs: int) -> str:
    """`1 run`, `2 runs`."""
    return f"{runs:,} run{'s' if runs != 1 else ''}"


def _meant(chosen: list[str] | None, within: Mapping[Path, Path], what: What) -> Iterator[RunEntry]:
    """Those that are named, else all; each once. Who names a run that lives is told; else such a
    run is passed over."""
    entries = map(find_run, chosen) if chosen else list_runs()
    for entry in {entry.folder.path.resolve(): entry for entry in entries}.values():
        if chosen or removable(entry, within, what):
            yield entry


def _touched(entry: RunEntry) -> float:
    return entry.status.ended or entry.status.updated or entry.status.created


def _row(removal: Removal) -> tuple[str, ...]:
    parts = ", ".join(path.name for path in sorted(removal.parts or ()))
    return (
        f"{size(removal.size):>10}",
        one_line(removal.entry.id),
        one_line(parts, limit=60) or removal.entry.state,
        one_line(str(removal.entry.folder.path)),
    )


def _as_json(removal: Removal) -> str:
    entry, parts = removal.entry, removal.parts
    facts = {
        "run": entry.id,
        "state": entry.state,
        "path": str(entry.folder.path),
        "bytes": removal.size,
        "parts": None if parts is None else [str(path) for path in sorted(parts)],
    }
    return clean_json(json_lines.dumps(facts))


def _agrees(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UserError("nobody can be asked here", hint="Say --yes, and what is listed goes.")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
