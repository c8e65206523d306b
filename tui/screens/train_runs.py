"""What the Train screen does for a multi-run: its Forgetting view, its newest run alone, undo."""

from textual import work
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Footer

from trainer_core.errors import BackpropError
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.merges import undo_last_merge
from trainer_core.runs.multi_run_events import Undone
from trainer_core.runs.view import RunView
from trainer_core.text import clean
from tui.screens.dialog import Dialog
from tui.threads import tell
from tui.widgets.forgetting_drift import standing_merges
from tui.widgets.forgetting_view import ForgettingView
from tui.widgets.loss_plot import LossPlot

# One key, in the footer where there is something behind it; else it says why there is not. For the
# class made of this one, since keys stand in the footer in the order in which a class names them.
FORGETTING = (
    Binding("f", "forgetting", "Forgetting", tooltip="What was forgotten, or the curves"),
    Binding("f", "say_plain", show=False),
)


class TrainRuns(Screen[None]):
    """A screen that shows one run; how it looks is for the class made of it."""

    BINDINGS = [
        Binding("U", "undo", "Undo", show=False, tooltip="Undo the last merge"),
        Binding("o", "own_curve", "Own", show=False, tooltip="The newest run alone, or all runs"),
        Binding("escape", "leave_forgetting", "Back", show=False, tooltip="Back to the curves"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._folder: RunFolder | None = None
        self._view = RunView()
        self._several = False

    def paint(self, *, plot: bool = False) -> None:
        """Show what is known of the run; with `plot`, its curves at once."""
        raise NotImplementedError

    def foreign(self) -> bool:
        """Whether the run is on another host."""
        raise NotImplementedError

    # --- the view --------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key has a meaning now."""
        if action in {"forgetting", "own_curve"}:
            return self._several
        if action == "say_plain":
            return self._folder is not None and not self._several
        if action in {"undo", "leave_forgetting"}:
            return self.has_class("-forgetting")
        if action == "samples":  # they stand where the view is now
            return not self.has_class("-forgetting")
        return super().check_action(action, parameters)

    def action_forgetting(self) -> None:
        """What was forgotten in place of the curves, or the curves again."""
        self.show_forgetting(not self.has_class("-forgetting"))

    def action_leave_forgetting(self) -> None:
        """The curves again."""
        self.show_forgetting(False)

    def action_say_plain(self) -> None:
        """Say why there is nothing behind this key."""
        self.notify("This is one run on all its data: forgetting is measured in a multi-run")

    def action_own_curve(self) -> None:
        """The curve of the newest run alone, or of all runs."""
        self.query_one(LossPlot).toggle_own()
        self.paint(plot=True)

    def show_forgetting(self, shown: bool) -> None:
        """Open the view, or leave it."""
        if shown == self.has_class("-forgetting"):
            return
        self.set_class(shown, "-forgetting")
        self.set_focus(self.query_one(ForgettingView) if shown else None)
        self.refresh_bindings()
        self.paint(plot=True)

    def show_runs(self) -> None:
        """Paint what only a multi-run has."""
        several = bool(self._view.runs or self._view.forgetting)
        if several != self._several:
            self._several = several
            self.query_one(Footer).compact = several  # one key more has to fit into 80 columns
            self.refresh_bindings()
        if self.has_class("-forgetting"):
            self.query_one(ForgettingView).show(self._view)

    # --- undo ------------------------------------------------------------------------------------

    def action_undo(self) -> None:
        """Ask, then undo the last merge."""
        standing, folder = standing_merges(self._view), self._folder
        if folder is None or not standing:
            self.notify("There is no merge to undo", severity="warning")
        elif self.foreign():
            self.notify("The run is on another host: undo it there", severity="warning")
        else:
            self._ask_undo(folder, standing[-1])

    def _ask_undo(self, folder: RunFolder, run: int) -> None:
        def answered(answer: str | None) -> None:
            if answer == "undo":
                self._undo(folder)

        question = (
            f"Undo the merge of run {run}? The adapter will be as it was before; what run {run} "
            "trained stays in its folder."
        )
        answers = {"keep": "Keep it", "undo": f"Undo the merge of run {run}"}
        self.app.push_screen(Dialog(question, answers), answered)

    @work(thread=True, exclusive=True, group="undo")
    def _undo(self, folder: RunFolder) -> None:
        try:
            number = undo_last_merge(folder)
        except (BackpropError, OSError, ValueError) as error:
            tell(self, self._not_undone, error)
        else:
            tell(self, self._undone, folder, number)

    def _not_undone(self, error: Exception) -> None:
        words = clean(str(error))
        self.notify(words[:1].upper() + words[1:], severity="warning", timeout=10, markup=False)

    def _undone(self, folder: RunFolder, number: int) -> None:
        self.notify(f"The merge of run {number} is undone", timeout=4)
        if self._folder is not None and folder.path == self._folder.path:
            self._view.apply(Undone(run=number))  # before it is read, as it will be
            self.paint()
