"""The machine in numbers, for programs and for reports of bugs."""

import platform
from collections.abc import Callable
from typing import Any

from trainer_core.hardware.doctor.control_group import allowance
from trainer_core.hardware.doctor.extras import OURS, extras, missing
from trainer_core.hardware.doctor.locks import differences, lock_folder, machine_kind, read_lock
from trainer_core.hardware.doctor.surroundings import Surroundings
from trainer_core.hardware.doctor.torch_build import torch_build
from trainer_core.hardware.facts import machine_facts


def facts(place: Surroundings) -> dict[str, Any]:
    """JSON-ready; what cannot be had is None. No environment, no names of users."""
    return {
        "backprop": place.versions.get(OURS),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "machine": _careful(lambda: machine_facts().model_dump()),
        "allowance": _careful(lambda: allowance(place).model_dump()),
        "driver": _careful(lambda: place.driver.model_dump(exclude={"gpus"})),
        "torch": _careful(lambda: _dumped(place)),
        "lock": _careful(lambda: machine_kind(place)),
        "differences": _careful(lambda: _differences(place)),
        "missing": _careful(lambda: _missing(place)),
        "libraries": _careful(lambda: dict(sorted(place.versions.items()))),
    }


def _careful(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Exception:
        return None


def _dumped(place: Surroundings) -> dict[str, Any] | None:
    build = torch_build(place)
    return build.model_dump() if build else None


def _differences(place: Surroundings) -> list[dict[str, Any]]:
    lock = read_lock(machine_kind(place), lock_folder())
    return [one.model_dump() for one in differences(lock, place.versions)]


def _missing(place: Surroundings) -> dict[str, list[str]]:
    """What each extra lacks."""
    if OURS not in place.packages:
        return {}
    return {extra: missing(place, extra) for extra in extras(place)}
