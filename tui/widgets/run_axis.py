"""The steps of a multi-run on an axis: where each of its runs begins, by name."""

from collections.abc import Sequence

from textual_plot import NumericAxisFormatter

from trainer_core.runs.multi_run_events import RunStart
from trainer_core.text import one_line


class RunAxis(NumericAxisFormatter):
    """Marks the beginnings of `runs`, oldest first, on an axis of `width` cells; plain numbers
    where fewer than two runs are in sight."""

    def __init__(self, runs: Sequence[RunStart], width: int) -> None:
        super().__init__()
        self._names = {beginning(run): _name(run, first=run.run == 1) for run in runs}
        self._width = width

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        """The beginnings in sight whose names have room beside the one before."""
        inside = [step for step in self._names if min_ <= step <= max_]
        if len(inside) < 2:
            return super().get_ticks(min_, max_, max_ticks)
        ticks: list[float] = []
        free = -1.0
        for step in inside:
            place, half = (step - min_) / (max_ - min_) * self._width, len(self._names[step]) / 2
            if place - half > free:
                ticks.append(step)
                free = place + half + 1
        return ticks

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """The names of the runs that begin there, or numbers."""
        if all(tick in self._names for tick in ticks):
            return [self._names[tick] for tick in ticks]
        return super().get_labels_for_ticks(ticks)


def beginning(run: RunStart) -> float:
    """Where a run begins on the axis: before its first step, and after the last of the one
    before. The first one begins with its first point."""
    return run.first_step + (0.5 if run.first_step else 1.0)


def _name(run: RunStart, *, first: bool) -> str:
    if not run.arm:
        return f"run {run.run}"
    return one_line(run.arm, limit=12) if first else str(run.run)
