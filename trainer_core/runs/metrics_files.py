"""The metrics files, made from the events as they are recorded.

metrics_stream.jsonl is the trainer's own log; training/training_metrics.jsonl has losses, moving
averages and progress; training/hardware_metrics.jsonl the machine; curves/ what plots read.
"""

import errno
import json
import math
import os
from collections import deque
from typing import Any

from trainer_core.runs.curves import curve_path, pack, points_of
from trainer_core.runs.events import (
    Eval,
    Event,
    Finished,
    Hardware,
    Metrics,
    Plan,
    Predicted,
    Scored,
)
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import AppendFile

EMA_DECAY = 0.9


class MovingAverages:
    """The mean of the last ten losses, and an exponential mean without the bias of its start."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=10)
        self._sum = 0.0
        self._weight = 0.0

    def add(self, loss: float) -> dict[str, float | None]:
        """Take a loss in; one that is not finite changes nothing."""
        if math.isfinite(loss):
            self._last.append(loss)
            self._sum = EMA_DECAY * self._sum + (1 - EMA_DECAY) * loss
            self._weight = EMA_DECAY * self._weight + (1 - EMA_DECAY)
        if not self._last:
            return {"loss_avg_10": None, "loss_ema": None}
        return {
            "loss_avg_10": sum(self._last) / len(self._last),
            "loss_ema": self._sum / self._weight,
        }


class MetricsFiles:
    """Appends to the metrics files what each event says."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._averages = MovingAverages()
        self._files: dict[str, AppendFile] = {}
        self._curves: dict[str, int] = {}

    def add(self, event: Event) -> None:
        """Write what `event` says. Raises OSError (a full disk, say)."""
        if isinstance(event, Hardware):
            self._append("hardware", event.model_dump(exclude={"n", "type"}))
        elif isinstance(event, Plan):
            facts = event.model_dump(include={"total_steps", "epochs", "resumed_from"})
            self._append("training", {"event": "train_begin", "time": event.time, **facts})
        elif isinstance(event, Metrics):
            self._metrics(event)
        elif isinstance(event, Eval):
            facts = event.model_dump(include={"time", "step", "epoch", "best"})
            self._append("training", {"event": "evaluate", **facts, "eval_loss": event.loss})
        elif isinstance(event, Scored) and event.step:
            scores = {name: found.value for name, found in event.scores.items()}
            facts = event.model_dump(include={"time", "step", "rows"})
            self._append("training", {"event": "score", **facts, **scores})
        elif isinstance(event, Finished):
            facts = event.model_dump(include={"time", "step", "outcome", "elapsed"})
            self._append("training", {"event": "train_end", **facts, **event.summary})
        elif isinstance(event, Predicted):
            self._append("predictions", event.facts())
        for name, step, value in points_of(event):
            _append_point(self._curve(name), pack(step, value))

    def close(self) -> None:
        """Close every file."""
        for file in self._files.values():
            file.close()
        for descriptor in self._curves.values():
            os.close(descriptor)
        self._files.clear()
        self._curves.clear()

    def _metrics(self, event: Metrics) -> None:
        head = {"step": event.step, "epoch": event.epoch, "time": event.time}
        self._append("stream", {**head, **event.values})
        row: dict[str, Any] = {"event": "log", **head, "elapsed": event.elapsed, **event.values}
        loss = event.values.get("loss")
        if loss is not None:
            row |= self._averages.add(loss)
        row["tokens"] = event.tokens
        row["tokens_per_second"] = event.tokens_per_second
        row["progress_percent"] = round(100 * event.step / max(1, event.total_steps), 2)
        row["seconds_left"] = event.seconds_left
        self._append("training", row)

    def _append(self, name: str, row: dict[str, Any]) -> None:
        paths = {
            "stream": self._folder.metrics_stream,
            "training": self._folder.training_metrics,
            "hardware": self._folder.hardware_metrics,
            "predictions": self._folder.predictions_file,
        }
        if name not in self._files:
            self._files[name] = AppendFile(paths[name])
        self._files[name].append(json.dumps(_plain(row), allow_nan=False).encode())

    def _curve(self, name: str) -> int:
        if name not in self._curves:
            path = curve_path(self._folder.curves, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 16 * 16)
            self._curves[name] = descriptor
        return self._curves[name]


def _append_point(descriptor: int, point: bytes) -> None:
    """Write a whole point, or none of it: half a point would shift all that come after."""
    written = os.write(descriptor, point)
    if written != len(point):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 16 * 16)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: values that are not finite become null."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
