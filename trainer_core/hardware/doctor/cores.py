"""CPU cores, and how many of them we may use."""

import os
from collections.abc import Iterator

from trainer_core.hardware.doctor.control_group import allowance
from trainer_core.hardware.doctor.finding import Finding, note, ok, warning
from trainer_core.hardware.doctor.surroundings import Surroundings

AREA = "cores"


def look(place: Surroundings) -> Iterator[Finding]:
    """What the machine has, what we are bound to, and what the control group grants."""
    every = os.cpu_count() or 1
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
    if bound < every:
        yield note(
            AREA,
            f"This shell is bound to {bound} of {every} cores.",
            "Unless that is meant (taskset, sbatch --cpus-per-task), start from another shell.",
        )
    else:
        yield ok(AREA, f"{_cores(every)}.")
    granted = allowance(place).cores
    if granted is not None and granted < bound:
        threads = max(1, int(granted))
        yield warning(
            AREA,
            f"The control group grants the time of {granted:g} of {_cores(bound)}; more threads "
            "only wait for each other.",
            "Say so to the libraries before a run, or raise it: docker run --cpus, CPUQuota= of "
            "the unit.",
            f"export OMP_NUM_THREADS={threads}",
        )


def _cores(count: int) -> str:
    return f"{count} core{'s' if count > 1 else ''}"
