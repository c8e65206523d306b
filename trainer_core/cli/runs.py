"""`backprop runs`: every run of this user, wherever its folder is."""

import json as json_lines
import sys
import time

from trainer_core.cli.options import Json
from trainer_core.runs.registry import RunEntry, list_runs
from trainer_core.text import duration, one_line


def runs(json: Json = False) -> None:
    """List runs, newest first."""
    entries = list_runs()
    if json:
        for entry in entries:
            facts = entry.status.model_dump(mode="json", exclude={"key_file", "address"})
            facts |= {"state": entry.state, "path": str(entry.folder.path)}
            sys.stdout.write(json_lines.dumps(facts) + "\n")
        return
    if not entries:
        print("No runs yet. Start one: backprop demo")
        return
    rows = [_row(entry) for entry in entries]
    head = ("STATE", "RUN", "STEP", "LOSS", "STARTED", "FOLDER")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head) - 1)]
    for row in [head, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[-1]]).rstrip())


def _row(entry: RunEntry) -> tuple[str, ...]:
    status = entry.status
    return (
        entry.state,
        one_line(entry.id),
        f"{status.step:,}/{status.total_steps:,}" if status.total_steps else "-",
        f"{status.loss:.4f}" if status.loss is not None else "-",
        f"{duration(time.time() - status.created)} ago",
        one_line(str(entry.folder.path)),
    )
