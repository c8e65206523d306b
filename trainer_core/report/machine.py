"""The machine while a run went on, from its hardware samples: few enough points to be drawn."""

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from trainer_core.errors import UserError
from trainer_core.reading import json_object
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines

# A night of samples has about as many; of more than twice as many, neighbours are put together.
MOST_POINTS = 4000
GIB = 1 << 30
Curves = dict[str, list[float]]
Sample = dict[str, float]


def machine_curves(folder: RunFolder) -> Curves:
    """By name, all of one length and in order of time: `minutes` since the first sample;
    `ram` of the training's processes, `ram_used` and `ram_total` of the machine, in GiB; `cpu` in
    percent; of each GPU `gpu0_memory` and `gpu0_total` in GiB, `gpu0_utilization` in percent,
    `gpu0_temperature` in °C, `gpu0_power` in watts, as far as it tells. Of samples put together the
    highest value counts. Empty where there are none."""
    first, points = None, _Points()
    for sample in _samples(folder):
        first = sample["minutes"] if first is None else first
        points.add(sample)
    found = points.all()
    if first is None:
        return {}
    names = dict.fromkeys(name for point in found for name in point)
    curves = {name: [point.get(name, math.nan) for point in found] for name in names}
    curves["minutes"] = [minute - first for minute in curves["minutes"]]
    return curves


class _Points:
    """Samples put together as they come: whenever twice as many as wanted are held, in pairs."""

    def __init__(self) -> None:
        self._points: list[Sample] = []
        self._each = 1  # so many samples are a point
        self._next: Sample = {}
        self._of_next = 0

    def add(self, sample: Sample) -> None:
        """The next sample."""
        self._next, self._of_next = _together(self._next, sample), self._of_next + 1
        if self._of_next < self._each:
            return
        self._points.append(self._next)
        self._next, self._of_next = {}, 0
        if len(self._points) == 2 * MOST_POINTS:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points, self._each = [_together(*pair) for pair in pairs], 2 * self._each

    def all(self) -> list[Sample]:
        """Every point, the last of however many samples there were."""
        return [*self._points, self._next] if self._next else self._points


def _together(one: Sample, other: Sample) -> Sample:
    return one | {name: max(one.get(name, value), value) for name, value in other.items()}


def _samples(folder: RunFolder) -> Iterator[Sample]:
    for line, _ in read_lines(folder.hardware_metrics):
        # What is no sample, or has a number that is none, is left out.
        with suppress(UserError, KeyError, TypeError, AttributeError, ArithmeticError):
            sample = _numbers(json_object(line, "a sample"))
            if all(map(math.isfinite, sample.values())):
                yield sample


def _numbers(sample: dict[str, Any]) -> Sample:
    found = {
        "minutes": sample["time"] / 60,
        "ram": sample["process_ram"] / GIB,
        "ram_used": sample["ram_used"] / GIB,
        "ram_total": sample["ram_total"] / GIB,
        "cpu": sample["cpu"],
    }
    for gpu in sample.get("gpus", []):
        name = f"gpu{gpu['index']}"
        found |= {
            f"{name}_{what}": value / unit
            for what, key, unit in (
                ("memory", "memory_used", GIB),
                ("total", "memory_total", GIB),
                ("utilization", "utilization", 1),
                ("temperature", "temperature", 1),
                ("power", "power", 1),
            )
            if (value := gpu.get(key)) is not None
        }
    return found
