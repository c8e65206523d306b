"""What a run measured, from its curves and its training log."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from trainer_core.errors import UserError
from trainer_core.history.facts import CurveFacts
from trainer_core.reading import finite, json_object
from trainer_core.runs.curves import Floats, read_curve
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
    curve = read_curve(folder, name)
    known = np.isfinite(curve.values) & np.isfinite(curve.steps)
    return Points(curve.steps[known], curve.values[known])


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


def sampled_peak(folder: RunFolder, device: str) -> int | None:
    """The most memory in the samples of the machine: of `device` as a plan names it (`GPU 0: …`)
    with whatever else was on it, else the RAM of the run's processes. Raises OSError."""
    gpu = re.match(r"GPU (\d+):", device)
    peak = None
    for line, _ in read_lines(folder.hardware_metrics):
        sample = _row(line)
        if gpu is None:
            found = finite(sample.get("process_ram"))
        else:
            gpus = sample.get("gpus")
            found = next(
                (
                    finite(one.get("memory_used"))
                    for one in (gpus if isinstance(gpus, list) else ())
                    if isinstance(one, dict) and one.get("index") == int(gpu[1])
                ),
                None,
            )
        peak = max((x for x in (peak, found) if x is not None), default=None)
    return int(peak) if peak is not None else None


def metrics_rows(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """Each row of the training log that can be read. Raises OSError."""
    yield from (row for line, _ in read_lines(folder.training_metrics) if (row := _row(line)))


def _add(seconds: float | None, began: float, last: bytes | None) -> float | None:
    """The span so far, and that of a session that began then and wrote this line last."""
    ended = _number(_row(last or b""), "time")
    return (seconds or 0.0) + ended - began if ended >= began > 0 else seconds


def _number(row: dict[str, Any], name: str) -> float:
    return finite(row.get(name)) or 0.0


def _row(line: bytes) -> dict[str, Any]:
    try:
        return json_object(line, "a line")
    except UserError:
        return {}
