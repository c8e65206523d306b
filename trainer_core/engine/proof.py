"""The proof of a resume: what was put back, and that the next step is the one that was.

Where a run was killed some steps after its newest checkpoint, those steps are in its record. The
first of them is trained again after the resume; if all was put back, it has the same loss and the
same gradient, to the last bit.
"""

import logging
from dataclasses import dataclass
from typing import Any

from trainer_core.runs.curves import curve_path, load_curve
from trainer_core.runs.events import Notice
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder

log = logging.getLogger(__name__)
_COMPARED = ("loss", "grad_norm", "learning_rate")
# Kernels of a GPU may add in another order each time.
GPU_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Recorded:
    """What the record says of a step, by name; empty where it ends before."""

    step: int
    values: dict[str, float]


def recorded_step(folder: RunFolder, step: int) -> Recorded:
    """What was recorded of `step` (counted through the whole training) before it is trained
    again."""
    values = {}
    for name in _COMPARED:
        try:
            curve = load_curve(curve_path(folder.curves, name))
        except OSError:
            continue
        found = dict(zip(curve.steps.tolist(), curve.values.tolist(), strict=True)).get(step)
        if found is not None:
            values[name] = found
    return Recorded(step, values)


def say_restored(step: int, rate: float, tensors: int, epoch: int, rows: list[str]) -> None:
    """Say what was put back from the checkpoint of `step`. `rows` are those that come next."""
    log.info(
        "resume proof: step %s, learning rate %.6g, %s optimizer tensors and the random generators "
        "are restored; next are %s in epoch %s",
        f"{step:,}",
        rate,
        f"{tensors:,}",
        ", ".join(rows[:3]) + ("…" if len(rows) > 3 else ""),
        epoch,
    )


def compare(recorder: Recorder, recorded: Recorded, now: dict[str, Any], *, gpu: bool) -> None:
    """Say whether the first step after a resume is the one that was recorded before."""
    if "loss" not in recorded.values:
        log.info(
            "resume proof: step %s was not recorded before, so there is nothing to compare",
            f"{recorded.step:,}",
        )
        return
    tolerance = GPU_TOLERANCE if gpu else 0.0
    differing = {
        name: (before, float(now[name]))
        for name, before in recorded.values.items()
        if name in now and not _same(before, float(now[name]), tolerance)
    }
    if not differing:
        log.info(
            "resume proof: step %s has the loss that it had before, %s",
            f"{recorded.step:,}",
            recorded.values["loss"],
        )
        return
    name, (before, after) = next(iter(differing.items()))
    recorder.record(
        Notice(
            message=f"the resumed step {recorded.step:,} is not the one that was recorded: its "
            f"{name} is {after:.8g}, and was {before:.8g}",
            hint="Something changed that is not in the config: libraries, threads, the machine.",
        )
    )


def _same(before: float, after: float, tolerance: float) -> bool:
    return before == after or abs(before - after) <= tolerance * abs(before)
