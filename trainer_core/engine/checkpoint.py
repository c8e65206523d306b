"""Checkpoints: safetensors and JSON only, written beside, named last.

A checkpoint is a temporary folder until its manifest (the SHA-256 of every file) is written and the
folder renamed, so what is called `step-N` is whole. Nothing is ever unpickled.
"""

import hashlib
import json
import os
import random
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from trainer_core.errors import UserError
from trainer_core.files import sync_folder

FORMAT = 2
MANIFEST = "manifest.json"
TRAINER_STATE = "trainer_state.json"
RandomState = tuple[dict[str, Any], dict[str, torch.Tensor]]
_NAME = re.compile(r"^step-(\d+)$")


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name."""
    match = _NAME.match(checkpoint.name)
    if match is None:
        raise ValueError(f"{checkpoint} is not a checkpoint")
    return int(match.group(1))


def list_checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints in `folder`, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _NAME.match(path.name)]
    return sorted((path for path in found if (path / MANIFEST).is_file()), key=step_of)


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint whose files are what its manifest says; damaged ones are skipped."""
    for path in reversed(list_checkpoints(folder)):
        if not damage(path):
            return path
    return None


def damage(checkpoint: Path) -> str:
    """What is wrong with a checkpoint; empty if it is whole."""
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            return f"its format is {manifest['format']}, this version reads {FORMAT}"
        for name, expected in manifest["files"].items():
            if _digest(checkpoint / name) != expected:
                return f"{name} is not what was saved"
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its manifest cannot be read: {error}"
    return ""


def finish(temporary: Path, final: Path) -> None:
    """Make `temporary` the checkpoint `final`: manifest, disk, rename."""
    files = sorted(path for path in temporary.rglob("*") if path.is_file())
    manifest = {
        "format": FORMAT,
        "files": {path.relative_to(temporary).as_posix(): _digest(path) for path in files},
    }
    (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for path in [*files, temporary / MANIFEST]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if final.exists():
        shutil.rmtree(final)
    temporary.rename(final)
    sync_folder(final.parent)


def prune(folder: Path, keep: int, best_step: int | None) -> None:
    """Remove all but the newest `keep` checkpoints and the best one."""
    checkpoints = list_checkpoints(folder)
    for path in checkpoints[: max(0, len(checkpoints) - keep)]:
        if step_of(path) != best_step:
            shutil.rmtree(path, ignore_errors=True)


def save_loop_state(folder: Path, optimizer: Any, scheduler: Any) -> None:
    """Optimizer, scheduler and random states."""
    state = optimizer.state_dict()
    tensors, plain = _split(state["state"])
    save_file(tensors, folder / "optimizer.safetensors")
    rng, rng_tensors = random_state()
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


def load_loop_state(folder: Path, optimizer: Any, scheduler: Any) -> None:
    """The opposite of `save_loop_state`, but for the random state, which is restored when the loop
    has skipped to its place (`restore_random_state`). Raises UserError if it does not fit."""
    saved = _read_json(folder / "loop.json")
    state = _join(load_file(folder / "optimizer.safetensors"), saved["optimizer"])
    try:
        optimizer.load_state_dict({"state": state, "param_groups": saved["param_groups"]})
    except ValueError as error:
        raise UserError(f"{folder} belongs to another adapter: {error}") from None
    scheduler.load_state_dict(saved["scheduler"])


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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data), encoding="utf-8")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
