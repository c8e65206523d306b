"""System: this machine, now, and what on it would trouble a run."""

import time

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, OptionList, Static

from trainer_core.hardware.doctor.examine import examine
from trainer_core.hardware.doctor.finding import Finding, in_numbers
from trainer_core.hardware.sample import MachineSample, MachineSampler
from trainer_core.runs.registry import state_folder
from tui.copied import copy
from tui.widgets.finding_list import FindingList
from tui.widgets.finding_pane import FindingPane
from tui.widgets.gauges import gauge_lines, short_lines
from tui.widgets.top_bar import TopBar

REFRESH_SECONDS = 2.0
BAR_WIDTH = 16


class SystemScreen(Screen[None]):
    """CPU, memory, disk and each GPU of the machine on which this dashboard runs, and the findings
    of `backprop doctor`. Both are learned in threads: a driver or a disk may take its time."""

    AUTO_FOCUS = "#findings"
    BINDINGS = [
        Binding("r", "look", "Look again", tooltip="Look at the machine again"),
        Binding("y", "copy", "Copy", tooltip="Copy the command, or what to do"),
        Binding("a", "all", "All", tooltip="Show what is as it should be, or hide it again"),
        Binding("j", "down", "Down", show=False, tooltip="One finding down"),
        Binding("k", "up", "Up", show=False, tooltip="One finding up"),
        Binding("g", "first", "First", show=False, tooltip="The first finding"),
        Binding("G", "last", "Last", show=False, tooltip="The last finding"),
        Binding(
            "tab",
            "app.focus_next",
            show=False,
            tooltip="To the whole text, which scrolls, and back",
        ),
    ]

    class Sampled(Message):
        """The machine as it is now."""

        def __init__(self, sample: MachineSample) -> None:
            super().__init__()
            self.sample = sample

    class Examined(Message):
        """What a look at the machine found."""

        def __init__(self, findings: list[Finding]) -> None:
            super().__init__()
            self.findings = findings

    def __init__(self) -> None:
        super().__init__()
        self._sampler: MachineSampler | None = None
        self._sampling = self._looking = False

    def compose(self) -> ComposeResult:
        yield TopBar("system")
        with Container(id="body"):
            with VerticalScroll(id="gauges"):
                yield Static("Looking…", id="machine", markup=False)
            with Vertical(id="doctor"):
                yield Static("Looking at this machine…", id="verdict", markup=False)
                yield FindingList(id="findings")
                yield FindingPane(id="finding")
        yield Footer()

    def on_mount(self) -> None:
        self.set_interval(REFRESH_SECONDS, self._refresh)
        self._refresh()
        self.action_look()

    # --- the gauges ------------------------------------------------------------------------------

    def on_screen_resume(self) -> None:
        self._refresh()

    def _refresh(self) -> None:
        if self.is_current and not self._sampling:
            self._sampling = True
            self._sample()

    @work(thread=True, group="sample")
    def _sample(self) -> None:
        if self._sampler is None:
            home = state_folder()
            while not home.exists():
                home = home.parent
            self._sampler = MachineSampler(home)
        self.post_message(self.Sampled(self._sampler.sample()))

    def on_system_screen_sampled(self, event: Sampled) -> None:
        """Paint the gauges."""
        self._sampling = False
        if len(event.sample.gpus) > 1 and not self.has_class("-wide"):
            lines = short_lines(event.sample, whose="dashboard")
        else:
            lines = gauge_lines(event.sample, BAR_WIDTH, whose="this dashboard")
        self.query_one("#machine", Static).update(Text("\n").join(lines))

    # --- the findings ----------------------------------------------------------------------------

    def action_look(self) -> None:
        """Look at the machine, unless that is going on."""
        if not self._looking:
            self._looking = True
            self.query_one("#verdict", Static).update("Looking at this machine…")
            self._examine()

    @work(thread=True, group="findings")
    def _examine(self) -> None:
        self.post_message(self.Examined(examine()))

    def on_system_screen_examined(self, event: Examined) -> None:
        """List what was found."""
        self._looking = False
        words = f"{in_numbers(event.findings)}   (at {time.strftime('%H:%M:%S')})"
        self.query_one("#verdict", Static).update(Text(words))
        self._list.show(event.findings)
        self._show_chosen()

    @property
    def _list(self) -> FindingList:
        return self.query_one(FindingList)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another finding is under the cursor."""
        event.stop()
        self._show_chosen()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter, on the line that stands for the good ones, lists them."""
        event.stop()
        if self._list.chosen is None:
            self.action_all()

    def _show_chosen(self) -> None:
        self.query_one(FindingPane).show(self._list.chosen)

    def action_all(self) -> None:
        """Show the good findings too, or hide them."""
        self._list.toggle_all()
        self._show_chosen()

    def action_copy(self) -> None:
        """Copy what to do: the command, else the hint, else what was found."""
        finding = self._list.chosen
        if finding is None:
            self.notify("There is nothing to copy on this line", timeout=3)
            return
        copy(self, finding.command or finding.hint or finding.text)

    def action_down(self) -> None:
        """As the arrow."""
        self._list.action_cursor_down()

    def action_up(self) -> None:
        """As the arrow."""
        self._list.action_cursor_up()

    def action_first(self) -> None:
        """To the worst."""
        self._list.action_first()

    def action_last(self) -> None:
        """To the end of the list."""
        self._list.action_last()
