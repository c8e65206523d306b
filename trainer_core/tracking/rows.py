"""What of a run's events a tracker is told. A run that goes on from a checkpoint trains some steps
again, and those have been told."""

from math import isfinite

from trainer_core.runs.events import (
    Eval,
    Event,
    Failed,
    Finished,
    Hardware,
    Metrics,
    Samples,
    Scored,
)
from trainer_core.tracking.tracker import Ending, Row

_GIB = 1 << 30
# What an event says by itself already.
_COUNTED = {"eval_loss", "epoch", "num_tokens", "eval_num_tokens"}


def row_of(event: Event, told: dict[str, int]) -> Row | None:
    """The row that an event is, if it is new: `told` has the last step of each type of event. A
    sample of the machine is one of the step before it, and the first of each step is taken."""
    newest = max(told.values(), default=0)
    if isinstance(event, Metrics | Eval | Samples | Scored):
        step = event.step
    elif isinstance(event, Hardware):
        step = newest
    else:
        return None
    if step < newest or step <= told.get(event.type, -1):
        return None
    answers = event.answers if isinstance(event, Samples) else []
    return Row(step, event.time, _values(event), answers)


def ending_of(event: Event) -> Ending | None:
    """How the run ended, if the event says so."""
    if isinstance(event, Finished):
        summary = {
            name: value
            for name, value in event.summary.items()
            if value is not None and isfinite(value)
        }
        return Ending(event.outcome, event.message, summary | {"seconds": event.elapsed})
    if isinstance(event, Failed):
        return Ending("failed", event.message)
    return None


def _values(event: Metrics | Eval | Samples | Scored | Hardware) -> dict[str, float]:
    found: dict[str, float | None] = {}
    if isinstance(event, Metrics):
        found = {f"train/{name}": value for name, value in event.values.items()}
        found |= {"train/epoch": event.epoch, "train/tokens": event.tokens}
        found |= {"train/tokens_per_second": event.tokens_per_second}
        if event.run:
            found["train/run"] = event.run
    elif isinstance(event, Eval):
        own = {n: value for n, value in event.values.items() if n not in _COUNTED}
        found = {f"eval/{name.removeprefix('eval_')}": value for name, value in own.items()}
        found["eval/loss"] = event.loss
    elif isinstance(event, Scored):
        found = {f"score/{name}": score.value for name, score in event.scores.items()}
    elif isinstance(event, Hardware):
        found = _of_machine(event)
    return {name: float(value) for name, value in found.items() if value is not None}


def _of_machine(event: Hardware) -> dict[str, float | None]:
    found: dict[str, float | None] = {
        "hardware/cpu_percent": event.cpu,
        "hardware/ram_gib": event.ram_used / _GIB,
        "hardware/process_ram_gib": event.process_ram / _GIB,
        "hardware/disk_free_gib": event.disk_free / _GIB,
    }
    for gpu in event.gpus:
        name = f"hardware/gpu{gpu.index}"
        used = gpu.memory_used
        found |= {
            f"{name}_percent": gpu.utilization,
            f"{name}_memory_gib": None if used is None else used / _GIB,
            f"{name}_celsius": gpu.temperature,
            f"{name}_watts": gpu.power,
        }
    return found
