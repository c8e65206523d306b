"""The loss over steps: every step faint, smoothed bold, validation as points.

Of a multi-run, a line stands where each run begins, its name below; or its newest run is shown
alone.
"""

import numpy as np
import numpy.typing as npt
from textual_plot import HiResMode, NumericAxisFormatter, PlotWidget

from trainer_core.runs.curves import Curve
from trainer_core.runs.view import RunView
from tui.widgets.run_axis import RunAxis, beginning

# More points than a terminal has dots only cost time.
MAX_POINTS = 600
SMOOTHING = 0.9

Floats = npt.NDArray[np.float64]


class LossPlot(PlotWidget):
    """Train and validation loss of a run."""

    COMPONENT_CLASSES = {"loss--raw", "loss--smooth", "loss--eval", "loss--run"}
    DEFAULT_CSS = """
    LossPlot > .loss--raw { color: $secondary; }
    LossPlot > .loss--smooth { color: $primary; }
    LossPlot > .loss--eval { color: $accent; }
    LossPlot > .loss--run { color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__(allow_pan_and_zoom=True)
        self.logarithmic = False
        self.own = False
        self._shown: tuple[object, ...] = ()

    def on_mount(self) -> None:
        super().on_mount()
        self.margin_top, self.margin_bottom = 1, 2

    def show(self, view: RunView) -> None:
        """Paint the curves of a run, if anything changed. What is not finite leaves a gap."""
        train, evaluation = view.curve("loss"), view.curve("eval_loss")
        state = (
            *(len(train), train.last, len(evaluation), self.logarithmic, self.app.theme),
            *(len(view.runs), self.own, self.size),
        )
        if state == self._shown or self.size.width < 12 or self.size.height < 4:
            return
        self._shown = state
        self.clear()
        self.set_x_formatter(NumericAxisFormatter())
        if view.run is not None and self.own:
            train, evaluation = (curve.after(view.run.first_step) for curve in (train, evaluation))
        elif view.run is not None:
            self._mark_runs(view)
        self._paint(train, evaluation)
        # The label of the y axis has a row of its own; an x axis needs none to be read as steps.
        over = f"run {view.run.run}" if view.run is not None and self.own else "steps"
        self.set_ylabel(f"log10 loss over {over}" if self.logarithmic else f"loss over {over}")

    def toggle_log(self, train: Curve) -> str:
        """Switch the scale; returns why not, if it cannot be."""
        positive = np.isfinite(train.values) & (train.values > 0)
        if not self.logarithmic and not bool(np.any(positive)):
            return "A log scale needs losses above zero, and there are none yet"
        self.logarithmic = not self.logarithmic
        return ""

    def toggle_own(self) -> None:
        """Switch between all runs and the newest one alone."""
        self.own = not self.own
        self.set_xlimits()
        self.set_ylimits()

    def _mark_runs(self, view: RunView) -> None:
        runs = sorted(view.runs.values(), key=lambda run: run.first_step)
        self.set_x_formatter(RunAxis(runs, self.size.width - self.margin_left - 2))
        reached = view.curve("loss").steps
        for run in runs:
            if run.first_step and len(reached) and beginning(run) <= reached[-1]:
                self.add_v_line(beginning(run), self._style("loss--run"))

    def _paint(self, train: Curve, evaluation: Curve) -> None:
        steps, values = self._scaled(*train.thinned(MAX_POINTS))
        if len(steps):
            self.plot(steps, values, self._style("loss--raw"), HiResMode.BRAILLE, label="train")
            smooth = smoothed(values)
            self.plot(steps, smooth, self._style("loss--smooth"), HiResMode.BRAILLE, label="smooth")
        steps, values = self._scaled(*evaluation.thinned(MAX_POINTS))
        if len(steps):
            self.scatter(steps, values, marker="o", marker_style=self._style("loss--eval"))

    def _scaled(self, steps: Floats, values: Floats) -> tuple[Floats, Floats]:
        if not self.logarithmic:
            return steps, values
        positive = values > 0
        return steps[positive], np.log10(values[positive])

    def _style(self, name: str) -> str:
        color = self.get_component_rich_style(name).color
        return color.name if color is not None else "default"


def smoothed(values: Floats) -> Floats:
    """Exponential moving average without the bias of its start (as TensorBoard's)."""
    result, total, weight = np.empty_like(values), 0.0, 0.0
    for index, value in enumerate(values):
        total = SMOOTHING * total + (1 - SMOOTHING) * float(value)
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        result[index] = total / weight
    return result
