"""What a run has trained so far: its best and last weights, its checkpoints; of a multi-run what
each of its runs left."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from trainer_core.errors import UserError
from trainer_core.reading import finite, read_object
from trainer_core.runs.folder import RunFolder

# One of these makes a folder an adapter's or a whole model's.
ADAPTER_CONFIG, MODEL_CONFIG = "adapter_config.json", "config.json"
# What onnxruntime-genai reads: makes a folder an ONNX export.
ONNX_CONFIG = "genai_config.json"
# Of one run of a multi-run: its merge was undone.
UNDONE = "undone"
_CHECKPOINT = re.compile(r"^step-(\d+)$")
_PART = re.compile(r"^run-(\d+)$")


@dataclass(frozen=True)
class TrainedPlace:
    """Trained weights of a run. `name` is best, last or step-N; of a multi-run also run-NN, merged
    after that run, and run-NN-fine-tuned. `loss` is the validation loss of its step, or that of the
    general slice after its run, in nats a trained token, if it was measured."""

    name: str
    path: Path
    step: int | None = None
    loss: float | None = None


def trained_places(folder: RunFolder) -> list[TrainedPlace]:
    """What can be taken from a run: the best, the last, then its checkpoints, or the runs of a
    multi-run, from new to old."""
    parts = _parts(folder)
    losses = _validation_losses(folder) if not parts else {}
    best = min(losses, key=lambda step: losses[step]) if losses else None
    places = []
    for name, step in (("best", best), ("last", None)):
        path = next(
            (p for p in (folder.adapter / name, folder.path / "model" / name) if holds(p)), None
        )
        if path is not None:
            loss = losses.get(step) if step else None
            general = [
                x for part in parts if stands(part) and (x := general_loss(part)) is not None
            ]
            if name == "best" and general:
                loss = min(general)
            places.append(TrainedPlace(name, path, step, loss))
    for step, path in sorted(_checkpoints(folder).items(), reverse=True):
        places.append(TrainedPlace(path.name, path, step, losses.get(step)))
    for part in parts:
        loss = general_loss(part)
        kinds = ((part.path.name, part.merged, loss),
                 (f"{part.path.name}-fine-tuned", part.fine_tuned, None))  # fmt: skip
        places += [TrainedPlace(name, path, None, x) for name, path, x in kinds if holds(path)]
    return places


def holds(folder: Path) -> bool:
    """Whether a folder holds an adapter or a whole model."""
    return (folder / ADAPTER_CONFIG).is_file() or (folder / MODEL_CONFIG).is_file()


def is_onnx(path: Path) -> bool:
    """Whether a folder holds ONNX."""
    return (path / ONNX_CONFIG).is_file()


def is_exported(path: Path) -> bool:
    """Whether a path is an export that another runtime than the training's runs: a GGUF file, or a
    folder with ONNX."""
    return (path.suffix == ".gguf" and path.is_file()) or is_onnx(path)


def run_of(path: Path) -> RunFolder | None:
    """The run that `path` is, or in whose adapter/, model/, checkpoints/, exports/N/ or
    run-NN/adapter/ it lies."""
    for folder in (path, path.parent.parent, path.parent.parent.parent):
        if RunFolder(folder).exists() and RunFolder(folder).config.is_file():
            return RunFolder(folder)
    return None


def stands(part: RunFolder) -> bool:
    """Whether a run of a multi-run is over, and its merge was not undone."""
    return part.merged.is_dir() and part.done.is_file() and not (part.path / UNDONE).exists()


def general_loss(part: RunFolder) -> float | None:
    """The loss of the general slice after one run of a multi-run, merged; None where that was not
    measured, the run is not over, or what it says of its end is damaged."""
    try:
        return finite(read_object(part.done).get("general_loss"))
    except (OSError, UserError):
        return None


def _parts(folder: RunFolder) -> list[RunFolder]:
    """The runs of a multi-run, from new to old."""
    found = {
        int(match[1]): path
        for path in folder.path.glob("run-*")
        if (match := _PART.match(path.name))
    }
    return [RunFolder(found[number]) for number in sorted(found, reverse=True)]


def _checkpoints(folder: RunFolder) -> dict[int, Path]:
    if not folder.checkpoints.is_dir():
        return {}
    found = ((_CHECKPOINT.match(path.name), path) for path in folder.checkpoints.iterdir())
    return {int(match[1]): path for match, path in found if match and holds(path)}


def _validation_losses(folder: RunFolder) -> dict[int, float]:
    """The loss of each validation, by its step."""
    from trainer_core.runs.curves import read_curve  # numpy, only where it is needed

    curve = read_curve(folder, "eval_loss")
    pairs = zip(curve.steps.tolist(), curve.values.tolist(), strict=True)
    return {int(step): loss for step, loss in pairs if loss == loss and math.isfinite(step)}
