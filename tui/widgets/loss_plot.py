"""The loss over steps: every step faint, smoothed bold, validation as points."""

import numpy as np
import numpy.typing as npt
from textual_plot import HiResMode, PlotWidget

from trainer_core.runs.curves import Curve

# More points than a terminal has dots only cost time.
MAX_POINTS = 600
SMOOTHING = 0.9

Floats = npt.NDArray[np.float64]


class LossPlot(PlotWidget):
    """Train and validation loss of a run."""

    COMPONENT_CLASSES = {"loss--raw", "loss--smooth", "loss--eval"}
    DEFAULT_CSS = """
    LossPlot > .loss--raw { color: $secondary; }
    LossPlot > .loss--smooth { color: $primary; }
    LossPlot > .loss--eval { color: $accent; }
    """

    def __init__(self) -> None:
        super().__init__(allow_pan_and_zoom=True)
        self.logarithmic = False
        self._shown: tuple[object, ...] = ()

    def on_mount(self) -> None:
        super().on_mount()
        self.margin_top, self.margin_bottom = 1, 2

    def show(self, train: Curve, evaluation: Curve) -> None:
        """Paint both curves, if anything changed. What is not finite leaves a gap."""
        state = (len(train), train.last, len(evaluation), self.logarithmic, self.app.theme)
        if state == self._shown or self.size.width < 12 or self.size.height < 4:
            return
        self._shown = state
        self.clear()
        steps, values = self._scaled(*train.thinned(MAX_POINTS))
        if len(steps):
            self.plot(steps, values, self._style("loss--raw"), HiResMode.BRAILLE, label="train")
            smooth = smoothed(values)
            self.plot(steps, smooth, self._style("loss--smooth"), HiResMode.BRAILLE, label="smooth")
        steps, values = self._scaled(*evaluation.thinned(MAX_POINTS))
        if len(steps):
            self.scatter(steps, values, marker="o", marker_style=self._style("loss--eval"))
        # The label of the y axis has a row of its own; an x axis needs none to be read as steps.
        self.set_ylabel("log10 loss over steps" if self.logarithmic else "loss over steps")

    def toggle_log(self, train: Curve) -> str:
        """Switch the scale; returns why not, if it cannot be."""
        positive = np.isfinite(train.values) & (train.values > 0)
        if not self.logarithmic and not bool(np.any(positive)):
            return "A log scale needs losses above zero, and there are none yet"
        self.logarithmic = not self.logarithmic
        return ""

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
