"""What a run measured, from its curves and its training log."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from trainer_core.history.facts import CurveFacts
from trainer_core.runs.curves import Floats, curve_path, load_curve
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines


class Points(NamedTuple):
    """The finite points of a curve, steps rising: two arrays of as many."""

    steps: Floats
    values: Floats


@dataclass
class TrainingLog:
    """training/training_metrics.jsonl, summed up. A session is a start or a resume; `end` is what
    the last one said when it ended, None where it broke off."""

    seconds: float | None = None
    sessions: int = 0
    tokens: int = 0
    end: dict[str, Any] | None = None


def read_points(folder: RunFolder, name: str) -> Points:
    """A curve of a run; empty where there is none. Raises OSError."""
    path = curve_path(folder.curves, name)
    if not path.is_file():
        return Points(np.empty(0), np.empty(0))
    curve = load_curve(path)
    finite = np.isfinite(curve.values) & np.isfinite(curve.steps)
    return Points(curve.steps[finite], curve.values[finite])


def curve_facts(points: Points) -> CurveFacts | None:
    """A curve in a few numbers; None for an empty one."""
    steps, values = points
    if not len(values):
        return None
    best = int(np.argmin(values))
    return CurveFacts(
        points=len(values),
        first=float(values[0]),
        last=float(values[-1]),
        best=float(values[best]),
        best_step=int(steps[best]),
    )


def best_eval_loss(folder: RunFolder) -> float | None:
    """The lowest loss of all validations."""
    try:
        found = curve_facts(read_points(folder, "eval_loss"))
    except OSError:
        return None
    return found.best if found is not None else None


def speed(folder: RunFolder) -> float | None:
    """Tokens a second, in the middle of all steps. Raises OSError."""
    values = read_points(folder, "tokens_per_second").values
    return float(np.median(values)) if len(values) else None


def training_log(folder: RunFolder) -> TrainingLog:
    """How long the run was at work, what it saw, and how it ended. Raises OSError."""
    log = TrainingLog()
    began, last, last_step = 0.0, None, None
    for line, _ in read_lines(folder.training_metrics):
        kind = line[:32]  # there may be very many, and few are worth parsing
        if b'"train_begin"' in kind:
            log.seconds = _add(log.seconds, began, last)
            began, last = _number(_row(line), "time"), None
            log.sessions, log.end = log.sessions + 1, None
            continue
        last = line
        if b'"log"' in kind:
            last_step = line
        elif b'"train_end"' in kind:
            log.end = _row(line)
    log.seconds = _add(log.seconds, began, last)
    log.tokens = int(_number(_row(last_step or b""), "tokens"))
    return log


def metrics_rows(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """Each row of the training log that can be read. Raises OSError."""
    yield from (row for line, _ in read_lines(folder.training_metrics) if (row := _row(line)))


def _add(seconds: float | None, began: float, last: bytes | None) -> float | None:
    """The span so far, and that of a session that began then and wrote this line last."""
    ended = _number(_row(last or b""), "time")
    return (seconds or 0.0) + ended - began if ended >= began > 0 else seconds


def _number(row: dict[str, Any], name: str) -> float:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _row(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
