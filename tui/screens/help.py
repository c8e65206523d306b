"""All keys of a screen, from the bindings themselves."""

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static


class HelpScreen(ModalScreen[None]):
    """What each key does on `screen`, in words."""

    BINDINGS = [
        Binding("escape,q,question_mark", "dismiss", "Close", tooltip="Close this help"),
    ]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._keys = {
            self._shown(active.binding): active.binding.tooltip or active.binding.description
            for active in screen.active_bindings.values()
            if active.binding.tooltip or active.binding.show
        }

    def compose(self) -> ComposeResult:
        table = Table.grid(padding=(0, 2))
        for key, meaning in self._keys.items():
            table.add_row(key, meaning)
        with VerticalScroll(id="box"):
            yield Static(table)

    @staticmethod
    def _shown(binding: Binding) -> str:
        return binding.key_display or binding.key
