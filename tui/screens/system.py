"""System: this machine, now."""

from rich.text import Text
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer, Static

from trainer_core.hardware.sample import MachineSampler
from trainer_core.runs.registry import state_folder
from tui.widgets.gauges import gauge_lines
from tui.widgets.top_bar import TopBar

REFRESH_SECONDS = 2.0


class SystemScreen(Screen[None]):
    """CPU, memory, disk and each GPU of the machine on which this dashboard runs."""

    def compose(self) -> ComposeResult:
        yield TopBar("system")
        yield Static(id="machine", classes="empty")
        yield Footer()

    def on_mount(self) -> None:
        home = state_folder()
        while not home.exists():
            home = home.parent
        self._sampler = MachineSampler(home)
        self.set_interval(REFRESH_SECONDS, self._show)
        self._show()

    def _show(self) -> None:
        if self.is_current:
            lines = gauge_lines(self._sampler.sample(), width=30)
            self.query_one("#machine", Static).update(Text("\n").join(lines))
