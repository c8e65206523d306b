"""The machine while a run went on, from its hardware samples: few enough points to be drawn."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines

# A night of samples has about as many; of more, neighbours are put together.
MOST_POINTS = 4000
GIB = 1 << 30
Curves = dict[str, list[float]]


def machine_curves(folder: RunFolder) -> Curves:
    """By name, all of one length and in order of time: `minutes` since the first sample;
    `ram` of the training's processes, `ram_used` and `ram_total` of the machine, in GiB; `cpu` in
    percent; of each GPU `gpu0_memory` and `gpu0_total` in GiB, `gpu0_utilization` in percent,
    `gpu0_temperature` in °C, `gpu0_power` in watts, as far as it tells. Of samples put together the
    highest value counts. Empty where there are none."""
    samples = list(_samples(folder))
    if not samples:
        return {}
    first = samples[0]["minutes"]
    names = dict.fromkeys(name for sample in samples for name in sample)
    group = -(-len(samples) // MOST_POINTS)
    curves: Curves = {name: [] for name in names}
    for start in range(0, len(samples), group):
        together = samples[start : start + group]
        for name in names:
            values = [sample[name] for sample in together if name in sample]
            curves[name].append(max(values) if values else float("nan"))
    curves["minutes"] = [minute - first for minute in curves["minutes"]]
    return curves


def _samples(folder: RunFolder) -> Iterator[dict[str, float]]:
    for line, _ in read_lines(folder.hardware_metrics):
        with suppress(ValueError, KeyError, TypeError):  # a damaged line
            yield _numbers(json.loads(line))


def _numbers(sample: dict[str, Any]) -> dict[str, float]:
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
