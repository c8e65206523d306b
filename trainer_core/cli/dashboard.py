"""Opening the dashboard, or saying why it cannot be opened here."""

import os
import sys
from pathlib import Path
from typing import Literal

from trainer_core.errors import UserError
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import ENDED, is_alive, read_status
from trainer_core.text import one_line


def no_dashboard_because() -> str:
    """Why the dashboard cannot be shown here; empty if it can."""
    # Textual reads stdin and draws on stderr; stdout is where a person looks.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return "this is not a terminal"
    if os.environ.get("TERM", "") in {"", "dumb"}:
        return f"TERM is {os.environ.get('TERM') or 'not set'}"
    return ""


def open_dashboard(
    run: RunFolder | None,
    fps: int = 10,
    data: str = "",
    config: str = "",
    page: Literal["train", "export"] = "train",
    tried: Path | None = None,
) -> int:
    """Show the dashboard: if a run is given on its Train screen, or on another `page` of it; on the
    Data screen if `data` is (a YAML or a data file), on the Config screen if `config` is, on the
    Try screen if a run or weights to be `tried` are; returns the exit status.

    Raises UserError where there is no terminal.
    """
    reason = no_dashboard_because()
    if reason:
        raise UserError(
            f"the dashboard needs a terminal, and {reason}",
            hint="`backprop --help` lists the commands that do not.",
        )
    from tui.app import run_app

    status = run_app(run, fps, data, config, page, tried)
    return status or (_say_how_it_stands(run) if run is not None and page == "train" else 0)


def _say_how_it_stands(run: RunFolder) -> int:
    """After the dashboard closed: one line on the terminal, and the run's own exit status."""
    status = read_status(run)
    if status is None:
        return 0
    if status.state in ENDED:  # its worker may still write the report
        print(one_line(f"{status.run}: {status.state}. {status.message or run.path}"))
    elif is_alive(run):
        print(one_line(f"{status.run} goes on. Watch it: backprop attach {status.run}"))
        return 0
    return status.exit_status or 0
