"""Metrics over steps, made to be drawn: append-only columns of (step, value) pairs of float64.

`curves/<name>.f64` holds two little-endian doubles a point. The files can always be rebuilt from
events.jsonl; a step that goes back (a resume from a checkpoint) cuts the curve there.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer_core.runs.events import Eval, Event, Metrics, Scored
from trainer_core.runs.folder import RunFolder

Floats = npt.NDArray[np.float64]


# What is kept of a curve that is only drawn: many times what a plot has room for, and a quarter of
# a megabyte however long the run is.
SHOWN_POINTS = 1 << 14


class Curve:
    """Points of one metric, with steps strictly rising. With a `limit` (points, at least 8) they
    are thinned whenever that many are there: of each stretch the lowest and the highest stay."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._points = np.empty((256, 2), dtype=np.float64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def steps(self) -> Floats:
        """Steps, shape (points,)."""
        return self._points[: self._count, 0]

    @property
    def values(self) -> Floats:
        """Values, shape (points,); NaN where the trainer had none."""
        return self._points[: self._count, 1]

    @property
    def last(self) -> float | None:
        """The newest value."""
        return float(self._points[self._count - 1, 1]) if self._count else None

    def add(self, step: float, value: float) -> None:
        """Append a point; what stood at this step or after it is dropped."""
        if self._count and step <= self._points[self._count - 1, 0]:
            self._count = int(np.searchsorted(self.steps, step))
        if self._count == self._limit:
            self._thin(self._limit // 4)
        if self._count == len(self._points):
            room = np.empty((max(256, self._count), 2), dtype=np.float64)
            self._points = np.concatenate([self._points, room])
        self._points[self._count] = (step, value)
        self._count += 1

    def _thin(self, stretches: int) -> None:
        """Keep two points of each of as many stretches of equally many steps, so that what is long
        past is as fine as the rest; and the newest point."""
        finite = np.flatnonzero(np.isfinite(self.values))
        share = (self.steps[finite] - self.steps[0]) / (self.steps[-1] - self.steps[0])
        stretch = np.minimum(share * stretches, stretches - 1).astype(int)
        order = finite[np.lexsort((self.values[finite], stretch))]
        ends = np.flatnonzero(np.diff(stretch, prepend=-1, append=stretches))
        lowest, highest = order[ends[:-1]], order[ends[1:] - 1]
        kept = np.unique(np.concatenate([lowest, highest, [self._count - 1]]))
        self._points[: len(kept)] = self._points[kept]
        self._count = len(kept)

    def after(self, step: float) -> "Curve":
        """The points after `step`, their steps counted from there."""
        points = self._points[int(np.searchsorted(self.steps, step, side="right")) : self._count]
        curve = Curve()
        curve._points, curve._count = points - (step, 0.0), len(points)
        return curve

    def thinned(self, points: int) -> tuple[Floats, Floats]:
        """At most about `points` of the finite points, keeping each bucket's lowest and highest."""
        finite = np.isfinite(self.values) & np.isfinite(self.steps)
        steps, values = self.steps[finite], self.values[finite]
        if len(steps) <= points:
            return steps, values
        buckets = np.array_split(np.arange(len(steps)), max(1, points // 2))
        keep = sorted(
            {
                int(bucket[index])
                for bucket in buckets
                for index in (int(np.argmin(values[bucket])), int(np.argmax(values[bucket])))
            }
            | {len(steps) - 1}
        )
        return steps[keep], values[keep]


def points_of(event: Event) -> Iterator[tuple[str, int, float]]:
    """The (curve, step, value) points that an event adds."""
    if isinstance(event, Metrics):
        for name, value in event.values.items():
            yield name, event.step, float("nan") if value is None else value
        if event.tokens_per_second is not None:
            yield "tokens_per_second", event.step, event.tokens_per_second
    elif isinstance(event, Eval):
        yield "eval_loss", event.step, event.loss
        guessed = event.values.get("eval_mean_token_accuracy")
        if guessed is not None:
            yield "eval_accuracy", event.step, guessed
    elif isinstance(event, Scored) and event.step:
        for name, found in event.scores.items():
            yield score_curve(name), event.step, found.value


def score_curve(score: str) -> str:
    """The name of the curve of a score while training."""
    return f"score_{score}"


def curve_path(folder: Path, name: str) -> Path:
    """The file of the curve `name` (which came from a trainer's log, so it is made safe)."""
    return folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:80]}.f64"


def pack(step: float, value: float) -> bytes:
    """A point as it stands in the file."""
    return np.array([step, value], dtype="<f8").tobytes()


def read_curve(folder: RunFolder, name: str) -> Curve:
    """A curve of a run; empty where there is none. Raises OSError."""
    try:
        return load_curve(curve_path(folder.curves, name))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return Curve()


def load_curve(path: Path) -> Curve:
    """Read a curve; an unfinished last point is ignored."""
    curve = Curve()
    raw = path.read_bytes()
    points = np.frombuffer(raw[: len(raw) // 16 * 16], dtype="<f8").reshape(-1, 2)
    if len(points) and bool(np.all(np.diff(points[:, 0]) > 0)):
        curve._points = points.astype(np.float64)
        curve._count = len(points)
        return curve
    for step, value in points:
        curve.add(float(step), float(value))
    return curve
