"""The plots of a report, as PNG files in the run's plots/."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trainer_core.files import write_atomically
from trainer_core.report.machine import Curves, machine_curves
from trainer_core.report.story import Story
from trainer_core.runs.curves import Curve, read_curve, score_curve
from trainer_core.runs.folder import RunFolder
from trainer_core.scoring.answers import SCORES
from trainer_core.text import one_line

POINTS = 2000
# Steps over which the loss is averaged: a fiftieth of them, at least so many.
SMOOTHED = 5
GIB = 1 << 30


@dataclass(frozen=True)
class Plot:
    """One picture: what is drawn, what its height says and what its width."""

    height: str
    draw: Callable[[Axes], None]
    width: str = "step"


def draw_plots(story: Story) -> list[str]:
    """Draw whatever there are numbers for, in place of what an earlier report drew; returns the
    names of the plots (`loss` for plots/loss.png), in the order of a report."""
    machine = machine_curves(story.folder)
    wanted: dict[str, Plot | None] = {
        "loss": _loss(story),
        "learning_rate": _one(story.folder, "learning_rate", "learning rate", "tab:purple"),
        "grad_norm": _one(story.folder, "grad_norm", "gradient norm", "tab:brown"),
        "accuracy": _one(
            story.folder, "mean_token_accuracy", "trained tokens guessed", "tab:olive"
        ),
        "scores": _several(
            [(name, read_curve(story.folder, score_curve(name))) for name in SCORES],
            "score of the answers",
        ),
        "tokens_per_second": _one(
            story.folder, "tokens_per_second", "tokens a second", "tab:green", from_zero=True
        ),
        "memory": _memory(story, machine),
        "gpu": _gpu(machine),
    }
    story.folder.plots.mkdir(exist_ok=True)
    drawn = []
    for name, plot in wanted.items():
        path = story.folder.plots / f"{name}.png"
        picture = _picture(plot) if plot is not None else None
        if picture is None:
            path.unlink(missing_ok=True)
            story.unread += [f"the numbers of {path.name}"] if plot is not None else []
            continue
        write_atomically(path, picture)
        drawn.append(name)
    return drawn


def draw_together(folders: Sequence[tuple[str, RunFolder]], name: str, label: str) -> bytes | None:
    """One curve of several runs in one picture (PNG); None where none of them has it."""
    plot = _several([(run, read_curve(folder, name)) for run, folder in folders], label)
    return _picture(plot) if plot is not None else None


def _several(found: Sequence[tuple[str, Curve]], label: str) -> Plot | None:
    """Curves by their names; those that are the same as one, for only one could be seen. None where
    all are empty."""
    names: dict[bytes, list[str]] = {}
    curves: dict[bytes, Curve] = {}
    for name, curve in found:
        if len(curve):
            key = curve.steps.tobytes() + curve.values.tobytes()
            curves[key] = curve
            names.setdefault(key, []).append(one_line(name))
    if not curves:
        return None

    def draw(axes: Axes) -> None:
        for key, curve in curves.items():
            steps, values = curve.thinned(POINTS)
            label = ", ".join(names[key]).replace("$", r"\$")  # two of them would mean a formula
            axes.plot(steps, values, label=label, linewidth=1.2, marker=_mark(steps))
        axes.legend()

    return Plot(label, draw)


def _loss(story: Story) -> Plot | None:
    loss, validation = (read_curve(story.folder, name) for name in ("loss", "eval_loss"))
    if not len(loss.steps) and not len(validation.steps):
        return None

    def draw(axes: Axes) -> None:
        steps, values = loss.thinned(POINTS)
        axes.plot(steps, values, color="tab:blue", alpha=0.35, linewidth=0.8, label="each step")
        steps, values = _smoothed(loss)
        axes.plot(steps, values, color="tab:blue", label="averaged")
        steps, values = validation.thinned(POINTS)
        if len(steps):
            axes.plot(steps, values, color="tab:orange", marker=_mark(steps), label="validation")
            best = int(np.argmin(values))
            axes.plot(steps[best], values[best], "*", color="tab:red", markersize=13, label="best")
        for event in story.view.runs.values():
            if not event.arm and event.first_step:
                axes.axvline(event.first_step, color="gray", linestyle=":", linewidth=0.8)
        axes.legend()

    return Plot("loss, nats a trained token", draw)


def _one(
    folder: RunFolder, name: str, label: str, color: str, *, from_zero: bool = False
) -> Plot | None:
    curve = read_curve(folder, name)
    steps, values = curve.thinned(POINTS)
    if not len(steps):
        return None

    def draw(axes: Axes) -> None:
        axes.plot(steps, values, color=color, linewidth=1.0, marker=_mark(steps))
        if from_zero:
            axes.set_ylim(0, 1.08 * float(np.max(values)))

    return Plot(label, draw)


def _memory(story: Story, machine: Curves) -> Plot | None:
    if not machine:
        return None
    plan = story.resolved.memory if story.resolved is not None else None
    moments, unit = _time(machine)
    gpus = [name for name in machine if name.endswith("_memory")]

    def draw(axes: Axes) -> None:
        axes.plot(moments, machine["ram"], color="tab:blue", label="RAM of the run")
        for name in gpus:
            axes.plot(moments, machine[name], label=name.replace("_", " "))
        if plan is not None:
            axes.axhline(plan.total / GIB, color="tab:red", linestyle="--", label="plan")
        axes.set_ylim(0, 1.08 * axes.dataLim.ymax)
        axes.legend(loc="lower right")

    return Plot("memory, GiB", draw, unit)


def _gpu(machine: Curves) -> Plot | None:
    parts = [
        (name, unit)
        for ending, unit in (("utilization", "%"), ("temperature", "°C"), ("power", "W"))
        for name in machine
        if name.endswith(f"_{ending}")
    ]
    if not parts:
        return None
    moments, width = _time(machine)

    def draw(axes: Axes) -> None:
        for name, unit in parts:
            label = f"{name.replace('_', ' ')}, {unit}"
            axes.plot(moments, machine[name], linewidth=1.0, label=label)
        axes.set_ylim(bottom=0)
        axes.legend()

    return Plot("GPU", draw, width)


def _time(machine: Curves) -> tuple[list[float], str]:
    """When the samples were taken, in a unit that suits the length of the run, and its name."""
    minutes = machine["minutes"]
    names = ((3, 60.0, "seconds"), (180, 1.0, "minutes"), (math.inf, 1 / 60, "hours"))
    times, name = next((times, name) for most, times, name in names if minutes[-1] <= most)
    return [minute * times for minute in minutes], name


def _smoothed(curve: Curve) -> tuple[Any, Any]:
    """The mean of so many losses around each, as far as there are any."""
    finite = np.isfinite(curve.values)
    steps, values = curve.steps[finite], curve.values[finite]
    width = max(SMOOTHED, len(values) // 50)
    if len(values) <= width:
        return steps, values
    sums = np.cumsum(np.concatenate([[0.0], values]))
    low = np.maximum(0, np.arange(len(values)) - width // 2)
    high = np.minimum(len(values), np.arange(len(values)) + width // 2 + 1)
    every = max(1, len(values) // POINTS)
    return steps[::every], ((sums[high] - sums[low]) / (high - low))[::every]


def _mark(steps: Sequence[float] | Any) -> str:
    """Few points are shown as such; a single one could not be seen otherwise."""
    return "o" if len(steps) < 30 else ""


def _picture(plot: Plot) -> bytes | None:
    """The plot as PNG; None where no axis holds its numbers, those of a damaged file."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    FigureCanvasAgg(figure)  # no screen is needed
    axes = figure.add_subplot()
    data = BytesIO()
    try:
        plot.draw(axes)
        axes.set_xlabel(plot.width)
        axes.set_ylabel(plot.height)
        axes.grid(visible=True, alpha=0.3)
        figure.savefig(data, format="png", dpi=100)
    except (ValueError, ArithmeticError):
        return None
    return data.getvalue()
