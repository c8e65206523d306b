"""What the list of runs says about one run, cell by cell."""

import array
import time

from trainer_core.runs.registry import RunEntry
from trainer_core.text import duration, one_line
from tui.widgets.mini_curve import mini_curve

CURVE_WIDTH = 12
# Only the end of a long curve is read: it is one line high.
CURVE_BYTES = 16 * 4096


def cells(entry: RunEntry) -> list[str]:
    """State, run, step, loss, curve, started, model: text that is safe to show."""
    status = entry.status
    return [
        entry.state,
        one_line(entry.id, limit=40),
        f"{status.step:,}/{status.total_steps:,}" if status.total_steps else "",
        f"{status.loss:.4f}" if status.loss is not None else "",
        _curve(entry),
        age(time.time() - status.created),
        one_line(status.model.rstrip("/").rsplit("/", 1)[-1], limit=24),
    ]


def age(seconds: float) -> str:
    """`3 min ago`: in its largest unit, so that a row seldom changes."""
    number, unit = duration(seconds).split()[:2]
    return f"{number} {unit} ago" if unit != "s" else "just now"


def _curve(entry: RunEntry) -> str:
    try:
        with (entry.folder.curves / "loss.f64").open("rb") as file:
            size = file.seek(0, 2) // 16 * 16
            file.seek(max(0, size - CURVE_BYTES))
            numbers = array.array("d", file.read(min(size, CURVE_BYTES)))
    except OSError:
        return ""
    return mini_curve(numbers[1::2], CURVE_WIDTH)
