"""What a run has trained so far: its best and last weights, and its checkpoints."""

import re
from dataclasses import dataclass
from pathlib import Path

from trainer_core.runs.folder import RunFolder

# One of these makes a folder an adapter's or a whole model's.
ADAPTER_CONFIG, MODEL_CONFIG = "adapter_config.json", "config.json"
_CHECKPOINT = re.compile(r"^step-(\d+)$")


@dataclass(frozen=True)
class TrainedPlace:
    """Trained weights of a run. `name` is best, last or step-N; `loss` the validation loss of its
    step in nats a trained token, if there was a validation."""

    name: str
    path: Path
    step: int | None = None
    loss: float | None = None


def trained_places(folder: RunFolder) -> list[TrainedPlace]:
    """What can be taken from a run: the best, the last, then its checkpoints from new to old."""
    losses = _validation_losses(folder)
    best = min(losses, key=lambda step: losses[step]) if losses else None
    places = []
    for name, step in (("best", best), ("last", None)):
        path = next(
            (p for p in (folder.adapter / name, folder.path / "model" / name) if holds(p)), None
        )
        if path is not None:
            places.append(TrainedPlace(name, path, step, losses.get(step) if step else None))
    for step, path in sorted(_checkpoints(folder).items(), reverse=True):
        places.append(TrainedPlace(path.name, path, step, losses.get(step)))
    return places


def holds(folder: Path) -> bool:
    """Whether a folder holds an adapter or a whole model."""
    return (folder / ADAPTER_CONFIG).is_file() or (folder / MODEL_CONFIG).is_file()


def _checkpoints(folder: RunFolder) -> dict[int, Path]:
    if not folder.checkpoints.is_dir():
        return {}
    found = ((_CHECKPOINT.match(path.name), path) for path in folder.checkpoints.iterdir())
    return {int(match[1]): path for match, path in found if match and holds(path)}


def _validation_losses(folder: RunFolder) -> dict[int, float]:
    """The loss of each validation, by its step."""
    from trainer_core.runs.curves import curve_path, load_curve  # numpy, only where it is needed

    path = curve_path(folder.curves, "eval_loss")
    if not path.is_file():
        return {}
    curve = load_curve(path)
    pairs = zip(curve.steps.tolist(), curve.values.tolist(), strict=True)
    return {int(step): loss for step, loss in pairs if loss == loss}
