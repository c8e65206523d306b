"""A screen whose feature is still to come: one line that says what will be there."""

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer, Static

from tui.widgets.top_bar import TopBar


class LaterScreen(Screen[None]):
    """The page `page` with one `sentence`."""

    def __init__(self, page: str, sentence: str) -> None:
        super().__init__()
        self._page = page
        self._sentence = sentence

    def compose(self) -> ComposeResult:
        yield TopBar(self._page)
        yield Static(self._sentence, classes="empty", markup=False)
        yield Footer()
