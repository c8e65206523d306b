"""`backprop smoke`: what could go wrong in the night, tried in minutes before it."""

import sys
import tempfile
import time
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from trainer_core.cli.headless import say
from trainer_core.cli.launch import check as check_run
from trainer_core.cli.options import Json, Overrides
from trainer_core.config.load import load_config
from trainer_core.errors import EXIT_FAILED, UserError
from trainer_core.files import remove_folder
from trainer_core.runs.events import Event, Progress, Stage
from trainer_core.text import clean, one_line
from trainer_core.worker.smoke import Check, Smoke

MARKS = {True: "ok  ", False: "FAIL", None: "-   "}


def smoke(
    config: Annotated[
        Path | None, typer.Argument(help="A YAML config; or only --set.", show_default=False)
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder of the short run.")] = False,
    json: Json = False,
    overrides: Overrides = None,
) -> None:
    """Try once whatever the run will do, on its model and data: the longest examples, a validation,
    a checkpoint, a stop and a resume, the export. Exit status 1 if anything fails."""
    loaded = load_config(config, overrides or [])
    check_run(loaded)
    place = _folder()
    began, tried = time.monotonic(), Smoke(loaded, place)
    try:
        tried.run(_tell)
    except KeyboardInterrupt:
        remove_folder(place)
        raise
    if tried.passed and not keep:
        remove_folder(place)
    seconds = time.monotonic() - began
    if json:
        checks = [vars(check) for check in tried.checks]
        print(dumps({"ok": tried.passed, "checks": checks, "failed": tried.failed}))
    else:
        print("\n".join([*map(_line, tried.checks), f"{seconds:.0f} s"]))
    if not tried.passed:
        say(clean(tried.failed or "something was never reached"))
        say(f"its folder, with worker.log: {place}")
        raise typer.Exit(EXIT_FAILED)


def _folder() -> Path:
    """A folder of its own where runs go, so that the disk is the real one."""
    runs = Path("runs").absolute()
    try:
        runs.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".smoke-", dir=runs))
    except OSError as error:
        raise UserError(f"{runs} cannot be written: {error.strerror}") from None


def _line(check: Check) -> str:
    return f"{MARKS[check.passed]}  {check.name:<14} {one_line(check.seen, limit=100)}"


def _tell(event: Event) -> None:
    if isinstance(event, Stage):
        print(f"… {event.stage} {one_line(event.detail)}".rstrip(), file=sys.stderr, flush=True)
    elif isinstance(event, Progress) and sys.stderr.isatty():
        print(f"\r… {event.done:,} {event.unit}", end="\r", file=sys.stderr, flush=True)
