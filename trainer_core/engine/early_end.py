"""Whether a training may end before its last step: its loss is low enough, or gets no better."""

from trainer_core.config.training_section import TrainingSection

# How many steps' losses are averaged to tell whether a target is reached.
TARGET_STEPS = 10


class EarlyEnd:
    """Looks at losses; `why` says why the training is over, once it is. `gained_loss` is what a
    validation must fall below, `without_gain` how many have not: both go into checkpoints."""

    def __init__(self, settings: TrainingSection, target_loss: float | None) -> None:
        self._settings = settings
        self._target = target_loss
        self.why = ""
        self.gained_loss: float | None = None
        self.without_gain = 0

    def see_steps(self, losses: list[float]) -> None:
        """The losses of all steps so far."""
        if self._target is None or len(losses) < TARGET_STEPS:
            return
        if sum(losses[-TARGET_STEPS:]) / TARGET_STEPS <= self._target:
            self.why = f"its loss is down to {self._target:g}"

    def see_validation(self, loss: float) -> None:
        """After `patience` validations without a loss that is lower by `min_delta` it is over."""
        best, patience = self.gained_loss, self._settings.patience
        if best is None or loss < best - self._settings.min_delta:
            self.gained_loss, self.without_gain = loss, 0
            return
        self.without_gain += 1
        if patience is not None and self.without_gain >= patience:
            self.why = f"{patience} validations brought no better loss"
