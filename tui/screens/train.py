"""Train: one run, live or ended. Watches it through a RunClient and passes wishes on."""

import platform
import time

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.widgets import Footer, Static

from trainer_core.runs.control import CommandName
from trainer_core.runs.events import Failed, Finished
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import list_runs
from trainer_core.runs.status import ENDED, Status, read_status, shown_state
from trainer_core.runs.view import RunView
from trainer_core.text import one_line
from trainer_core.worker.client import RunClient
from tui.screens.dialog import Dialog
from tui.screens.resuming import ask_to_resume, way_on
from tui.screens.train_runs import FORGETTING, TrainRuns
from tui.widgets.ending import Ending
from tui.widgets.forgetting_view import ForgettingView
from tui.widgets.gauges import Gauges
from tui.widgets.log_pane import LogPane
from tui.widgets.loss_plot import LossPlot
from tui.widgets.mini_curve import mini_curve
from tui.widgets.run_numbers import RunNumbers
from tui.widgets.run_state import state_text
from tui.widgets.samples_pane import SamplesPane
from tui.widgets.top_bar import TopBar

# Taking events in may not hold up a key press for longer than this.
FOLD_SECONDS = 0.03
# The machine that draws may be the one that trains: numbers follow at once, the rest now and then.
PLOT_SECONDS = 1.0


class TrainScreen(TrainRuns):
    """The run that is open, if any; else the run that goes on."""

    AUTO_FOCUS = ""  # the keys of this screen first; tab goes into the plot and the log
    BINDINGS = [
        Binding("r", "resume", "Resume", tooltip="Go on with this run from its newest checkpoint"),
        Binding("p", "pause", "Pause", tooltip="Hold the training after this step, or go on"),
        Binding("c", "ask('save')", "Save", tooltip="Save a checkpoint after this step"),
        Binding("e", "ask('evaluate')", "Eval", tooltip="Validate after this step"),
        Binding(
            "a",
            "ask('score')",
            "Score",
            show=False,
            tooltip="Answer rows of validation after this step, and score the answers",
        ),
        Binding("x", "stop", "Stop", tooltip="Save and end the run"),
        Binding("s", "samples", "Answers", tooltip="The sample answers, or the log"),
        *FORGETTING,
        Binding("l", "log_scale", "Log scale", show=False, tooltip="Loss on a log scale, or not"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._client: RunClient | None = None
        self._painted = self._plotted = 0.0
        self._head = self._spark = ""
        self._told_end = False
        # From where the run can be resumed, in words; empty if it cannot.
        self._way_on = ""
        self._looked = 0.0
        self._status: Status | None = None
        self._status_read = 0.0

    def compose(self) -> ComposeResult:
        yield TopBar("train")
        yield Static(id="head", markup=False)
        yield Ending()
        yield RunNumbers()
        with Container(id="middle"):
            with Vertical(id="charts"):
                yield LossPlot()
                yield Static(id="spark", markup=False)
            yield Gauges()
        with Vertical(id="lower"):
            yield LogPane()
            yield SamplesPane()
        yield ForgettingView()
        yield Footer()

    def on_mount(self) -> None:
        self.set_interval(1 / getattr(self.app, "fps", 10), self._tick)

    def on_screen_resume(self) -> None:
        wanted = getattr(self.app, "followed", None) or _living_run()
        if wanted is not None and (self._folder is None or wanted.path != self._folder.path):
            self._watch(wanted)
        self.paint()

    def on_unmount(self) -> None:
        if self._client is not None:
            self._client.close()

    # --- following -------------------------------------------------------------------------------

    def _watch(self, folder: RunFolder) -> None:
        if self._client is not None:
            self._client.close()
        self._folder, self._view, self._told_end = folder, RunView(), False
        self._status, self._looked, self._way_on = None, 0.0, ""
        self._client = RunClient(folder, "dashboard", stay=True)
        self.query_one(LogPane).forget()
        self.remove_class("-samples")
        self.show_forgetting(False)

    def _tick(self) -> None:
        """Take in what came, for a bounded time, and paint."""
        if self._client is None:
            return
        now = time.monotonic()
        changed = False
        for event in self._client.take(now + FOLD_SECONDS):
            self._view.apply(event)
            changed = True
        if self.is_current and (changed or now - self._painted >= PLOT_SECONDS):
            self.paint()

    def paint(self, *, plot: bool = False) -> None:
        """Show what is known of the run; with `plot`, its curves at once."""
        view, self._painted = self._view, time.monotonic()
        self._show_head()
        self.set_class(self._folder is None, "-no-run")
        if self._folder is None:
            return
        self.query_one(RunNumbers).show(view)
        self.query_one(LogPane).show(view)
        self._show_end()
        self.show_runs()
        if time.monotonic() - self._plotted < PLOT_SECONDS and not plot:
            return
        self._plotted = time.monotonic()
        loss = view.curve("loss")
        self.query_one(LossPlot).show(view)
        width = max(8, self.size.width // 2)
        line = mini_curve(loss.values[-40 * width :].tolist(), width)
        if line != self._spark:
            self._spark = line
            self.query_one("#spark", Static).update(f"loss {line}")
        self.query_one(Gauges).show(view.hardware)
        if self.has_class("-samples"):
            self.query_one(SamplesPane).show(view)

    def _show_head(self) -> None:
        head = Text(no_wrap=True, overflow="ellipsis")
        if self._folder is None:
            head.append("No run is open. Choose one under 1 Runs, or start one: backprop demo")
        else:
            status = read_status(self._folder) if self._every_second() else self._status
            self._status = status
            name = status.run if status is not None else self._folder.path.name
            head.append(f"{one_line(name)}  ", "bold")
            head.append_text(state_text(self._state()))
            if self.foreign():
                head.append("  on another host: read-only")
            if self._view.trouble:
                head.append("  !", "red")
        if head.plain != self._head:
            self._head = head.plain
            self.query_one("#head", Static).update(head)

    def _every_second(self) -> bool:
        if time.monotonic() - self._status_read < 1.0 and self._status is not None:
            return False
        self._status_read = time.monotonic()
        return True

    def _state(self) -> str:
        """From the events, which are newer than status.json; else from the lock."""
        outcome = self._view.outcome
        if isinstance(outcome, Finished):
            return outcome.outcome
        if isinstance(outcome, Failed):
            return "failed"
        if self._client is not None and self._client.ended and self._status is not None:
            return shown_state(self._folder, self._status) if self._folder else ""
        if self._view.paused:
            return "paused"
        return "stopping" if self._view.stage == "stopping" else "running"

    def foreign(self) -> bool:
        """Whether the run is on another host."""
        return self._status is not None and self._status.host not in {"", platform.node()}

    def _show_end(self) -> None:
        """How it ended, with a bell if we were there; or what holds it up."""
        outcome, state, folder = self._view.outcome, self._state(), self._folder
        if folder is None:
            return
        ended = outcome is not None or state == "died"
        if not ended:
            self._told_end = False
        way = self._find_way_on(folder) if ended and not self.foreign() else ""
        if way != self._way_on:
            self._way_on = way
            self.query_one(Footer).compact = bool(way) or self._several
            self.refresh_bindings()
        self.query_one(Ending).show(self._view, folder.path, state, way)
        if outcome is None or self._told_end:
            return
        self._told_end = True
        if time.time() - outcome.time < 5:
            self.app.bell()
        if self._view.samples.get("after"):
            self.add_class("-samples")
            self.query_one(SamplesPane).show(self._view)

    def _find_way_on(self, folder: RunFolder) -> str:
        """Asked again now and then: the worker of a run that has just failed still ends."""
        if time.monotonic() - self._looked >= 1.0:
            self._looked = time.monotonic()
            return way_on(folder)
        return self._way_on

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key has a meaning now."""
        if action == "resume":
            return bool(self._way_on)
        return super().check_action(action, parameters)

    # --- wishes ----------------------------------------------------------------------------------

    def action_resume(self) -> None:
        """Ask, then go on with a run that ended; this screen follows it."""
        if self._folder is not None:
            ask_to_resume(self, self._folder, self.paint)

    def action_pause(self) -> None:
        """Pause, or go on."""
        self.action_ask("resume" if self._view.paused else "pause")

    def action_ask(self, command: CommandName) -> None:
        """Send a wish to the worker, or say why that cannot be."""
        why_not = self._why_not()
        if why_not:
            self.notify(why_not, severity="warning")
        elif self._client is not None and self._client.send(command):
            words = {
                "save": "Saving after this step",
                "evaluate": "Validating after this step",
                "score": "Scoring answers after this step",
            }
            self.notify(words.get(command, f"{command.capitalize()} asked for"), timeout=2)
        else:
            self.notify("The worker cannot be reached", severity="error")

    def action_stop(self) -> None:
        """Ask, then stop and save."""
        why_not = self._why_not()
        if why_not:
            self.notify(why_not, severity="warning")
            return
        answers = {"go": "Let it run", "stop": "Stop and save", "abort": "Abort, without saving"}
        self.app.push_screen(Dialog("Stop this run?", answers), self._answered)

    def leave(self) -> bool:
        """Whether leaving needs an answer first; then the question is open."""
        if self._why_not():
            return False
        answers = {
            "leave": "Leave it running, close the dashboard",
            "stop": "Stop and save, then stay here",
            "cancel": "Stay here",
        }
        self.app.push_screen(
            Dialog("The run goes on. What shall become of it?", answers), self._answered
        )
        return True

    def _answered(self, answer: str | None) -> None:
        if answer == "leave":
            self.app.exit()
        elif answer == "stop":
            self.action_ask("stop")
        elif answer == "abort":
            self.action_ask("abort")

    def _why_not(self) -> str:
        if self._folder is None:
            return "No run is open"
        if self.foreign():
            return "The run is on another host; only there can it be steered"
        state = self._state()
        return f"The run has ended ({state})" if state in {*ENDED, "died"} else ""

    # --- views -----------------------------------------------------------------------------------

    def action_samples(self) -> None:
        """The sample answers in place of the log, or the log again."""
        self.toggle_class("-samples")
        if self.has_class("-samples"):
            self.query_one(SamplesPane).show(self._view)

    def action_log_scale(self) -> None:
        """Loss on a log scale, or not."""
        problem = self.query_one(LossPlot).toggle_log(self._view.curve("loss"))
        if problem:
            self.notify(problem, severity="warning")
        self._plotted = 0.0


def _living_run() -> RunFolder | None:
    for entry in list_runs():
        if entry.state not in {*ENDED, "died"}:
            return entry.folder
    return None
