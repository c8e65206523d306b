"""Where the loop stands: optimizer, scheduler, random generators, counters.

Safetensors and JSON only: nothing is ever unpickled.
"""

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from trainer_core.errors import UserError

TRAINER_STATE = "trainer_state.json"
RandomState = tuple[dict[str, Any], dict[str, torch.Tensor]]


def save_loop_state(folder: Path, optimizer: Any, scheduler: Any, random: RandomState) -> None:
    """Optimizer, scheduler and the random generators, as they were after the step."""
    state = optimizer.state_dict()
    tensors, plain = _split(state["state"])
    save_file(tensors, folder / "optimizer.safetensors")
    rng, rng_tensors = random
    save_file(rng_tensors, folder / "random.safetensors")
    _write_json(
        folder / "loop.json",
        {
            "optimizer": plain,
            "param_groups": state["param_groups"],
            "scheduler": scheduler.state_dict(),
            "random": rng,
        },
    )


def load_loop_state(folder: Path, optimizer: Any, scheduler: Any, *, warm: bool = False) -> int:
    """The opposite of `save_loop_state`, but for the random state, which is restored when the loop
    has skipped to its place (`restore_random_state`). Returns how many tensors were put back.

    With `warm`, rates and the like are those of the config as it is now, and an optimizer that
    does not fit begins anew. Raises UserError where it does not fit otherwise.
    """
    saved = _read_json(folder / "loop.json")
    tensors = load_file(folder / "optimizer.safetensors")
    state = _join(tensors, saved["optimizer"])
    groups = saved["param_groups"]
    if warm:
        return _load_warm(state, groups, saved["scheduler"], optimizer, scheduler)
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except ValueError as error:
        raise UserError(f"{folder} belongs to another adapter: {error}") from None
    scheduler.load_state_dict(saved["scheduler"])
    return len(tensors)


def _load_warm(
    state: dict[int, dict[str, Any]],
    groups: list[dict[str, Any]],
    counted: dict[str, Any],
    optimizer: Any,
    scheduler: Any,
) -> int:
    now = optimizer.state_dict()["param_groups"]
    fits = [len(group["params"]) for group in groups] == [len(group["params"]) for group in now]
    if fits:
        optimizer.load_state_dict({"state": state, "param_groups": now})
    # The schedule as the config has it now, at the step that the training is at.
    scheduler.last_epoch = int(counted["last_epoch"])
    scheduler._step_count = int(counted["_step_count"])
    rates = [
        base * factor(scheduler.last_epoch)
        for base, factor in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
    ]
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    scheduler._last_lr = rates
    return sum(len(entries) for entries in state.values()) if fits else 0


def restore_random_state(folder: Path) -> None:
    """Python's, NumPy's and torch's generators as they were."""
    plain = _read_json(folder / "loop.json")["random"]
    set_random_state((plain, load_file(folder / "random.safetensors")))


def set_random_state(state: RandomState) -> None:
    """The opposite of `random_state`."""
    saved, tensors = state
    version, python, gauss = saved["python"]
    random.setstate((version, tuple(python), gauss))
    name, keys, position, has_gauss, cached = saved["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(tensors["cpu"])
    for index in range(torch.cuda.device_count()):
        if f"cuda.{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda.{index}"], index)


@dataclass(frozen=True)
class Position:
    """What our loop counts beside the trainer's own state."""

    tokens: int
    best_step: int | None
    best_loss: float | None
    # For early stopping: the loss to be beaten, and how many validations have not.
    gained_loss: float | None = None
    without_gain: int = 0
    # Why the run ended before its last step, if it did.
    early: str = ""
    # In how many pieces each micro-batch is taken, since memory ran out.
    pieces: int = 1
    # Whether the step's validation was cut off by a stop, and is still to come.
    evaluation_due: bool = False


def write_position(folder: Path, position: Position) -> None:
    """Save a Position."""
    _write_json(folder / "position.json", asdict(position))


def read_position(folder: Path) -> Position:
    """Load a Position."""
    return Position(**_read_json(folder / "position.json"))


def random_state() -> RandomState:
    """The state of Python's, NumPy's and torch's generators: plain values, and tensors."""
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    plain = {
        "python": random.getstate(),
        "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, cached],
    }
    tensors = {"cpu": torch.get_rng_state()}
    for index in range(torch.cuda.device_count()):
        tensors[f"cuda.{index}"] = torch.cuda.get_rng_state(index)
    return plain, tensors


def _split(state: dict[int, dict[str, Any]]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Optimizer state as tensors by `parameter/name`, and the rest as plain values. 8-bit
    optimizers keep a dictionary in it, whose entries are `parameter/name/entry`."""
    tensors: dict[str, torch.Tensor] = {}
    plain: dict[str, Any] = {}

    def put(path: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            # A copy: 8-bit optimizers share tables between parameters, safetensors does not.
            tensors[path] = value.detach().cpu().clone().contiguous()
        elif isinstance(value, dict):
            for name, entry in value.items():
                put(f"{path}/{name}", entry)
        else:
            plain[path] = value

    for index, entries in state.items():
        put(str(index), entries)
    return tensors, plain


def _join(tensors: dict[str, torch.Tensor], plain: dict[str, Any]) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {}
    for path, value in {**tensors, **plain}.items():
        index, *inner, name = path.split("/")
        holder = state.setdefault(int(index), {})
        for key in inner:
            holder = holder.setdefault(key, {})
        holder[name] = value
    return state


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data), encoding="utf-8")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
