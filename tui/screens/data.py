"""Data: rows as they are read, as conversations, and token by token as training will see them."""

import time

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from trainer_core.config.data_section import SplitName
from trainer_core.data.questions import Overview
from trainer_core.data.row_view import RowView
from trainer_core.text import clean, one_line
from tui.data_session import LAST, DataSession, Place
from tui.data_words import place_words, source_words, why_no_tokens
from tui.widgets.ask_line import AskLine
from tui.widgets.conversation_pane import ConversationPane
from tui.widgets.data_tables import sources_text, splits_text
from tui.widgets.length_histogram import LengthHistogram
from tui.widgets.problem_list import ProblemList
from tui.widgets.token_pane import TokenPane, counts_line
from tui.widgets.top_bar import TopBar

FOLD_SECONDS = 0.03
TICK_SECONDS = 0.2
JUMP = 100
# As in the app's HORIZONTAL_BREAKPOINTS: from here on, row and tokens fit side by side.
WIDE = 120
VIEWS = ("row", "tokens", "statistics", "problems")
NOTHING = "No data is open. Press o and name a file with rows, or a run's YAML."
PROMPTS = {
    "open": "a data file or a run's YAML",
    "search": "text to look for, in any case",
    "go": "number of a row",
}


class DataScreen(Screen[None]):
    """The data of the run that is open, or of a file."""

    AUTO_FOCUS = ""  # the keys of this screen first
    BINDINGS = [
        Binding("j,right", "move(1)", "Next", key_display="j", tooltip="The next row"),
        Binding("k,left", "move(-1)", "Back", key_display="k", tooltip="The row before"),
        Binding("v", "view", "View", tooltip="Tokens, statistics, problems, and the row again"),
        Binding("s", "split", "Split", tooltip="The next split; tab does the same"),
        Binding("tab", "split", "Split", show=False),
        Binding("slash", "ask('search')", "Search", key_display="/", tooltip="Find text"),
        Binding("colon", "ask('go')", "Row", key_display=":", tooltip="Go to a row by its number"),
        Binding("n", "again", "Again", show=False, tooltip="Find the next row with that text"),
        Binding("p", "show('problems')", show=False, tooltip="Rows with problems; ⏎ goes there"),
        Binding("o", "ask('open')", show=False, tooltip="Open a data file or a run's YAML"),
        Binding("i", "show('statistics')", "Numbers", show=False, tooltip="Splits and lengths"),
        Binding("g,home", "first", "First", show=False, tooltip="The first row"),
        Binding("G,end", "last", "Last", show=False, tooltip="The last row"),
        Binding("J", f"move({JUMP})", show=False, tooltip=f"{JUMP} rows on"),
        Binding("K", f"move(-{JUMP})", show=False, tooltip=f"{JUMP} rows back"),
        Binding("down", "scroll_text(1)", "Down", show=False, tooltip="Scroll the text down"),
        Binding("up", "scroll_text(-1)", "Up", show=False, tooltip="Scroll the text up"),
        Binding("pagedown,space", "scroll_text(0, 1)", show=False, tooltip="Scroll a page down"),
        Binding("pageup", "scroll_text(0, -1)", show=False, tooltip="Scroll a page up"),
        Binding(
            "escape", "leave_view", "Back", show=False, tooltip="Back to the row, then to Runs"
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._session: DataSession | None = None
        self._split: SplitName | None = None
        self._index = 0
        self._row: RowView | None = None
        self._view = "row"
        self._asking = ""
        self._sought = ""
        self._searching = False
        self._said: dict[str, str] = {}
        self._charted: SplitName | None = None
        self._complaint = ""

    def compose(self) -> ComposeResult:
        yield TopBar("data")
        yield Static(id="source", markup=False)
        yield Static(id="place", markup=False)
        yield AskLine()
        yield Static(NOTHING, id="nothing", classes="empty", markup=False)
        with Container(id="views"):
            with Container(id="texts"):
                yield ConversationPane(id="conversation")
                with Vertical(id="tokens"):
                    yield TokenPane()
                    yield Static(id="counts", markup=False)
            with Container(id="statistics"):
                with VerticalScroll(id="tables", can_focus=False):
                    yield Static(id="sources", markup=False)
                    yield Static(id="splits", markup=False)
                yield LengthHistogram(id="lengths")
            yield ProblemList(id="problems")
        yield Footer()

    def on_mount(self) -> None:
        self.set_interval(TICK_SECONDS, self._tick)
        self._show_view("row")

    def on_screen_resume(self) -> None:
        self._open_wanted()
        self._paint()

    def on_unmount(self) -> None:
        if self._session is not None:
            self._session.close()

    # --- the data --------------------------------------------------------------------------------

    def _open_wanted(self) -> None:
        """Show what the app was asked to show last."""
        wanted = getattr(self.app, "data", "")
        if wanted and (self._session is None or self._session.what != wanted):
            self.open(wanted)

    def open(self, what: str) -> None:
        """Show other data: a data file, or a run's config."""
        if self._session is not None:
            self._session.close()
        self._session = DataSession(what, self, self.call_later)
        self._split, self._index, self._row, self._searching = None, 0, None, False
        self._complaint = ""
        self._show_view("row")

    def session_changed(self) -> None:
        """More is known of the data."""
        overview = self._overview
        if overview is not None:
            self.query_one("#sources", Static).update(sources_text(overview.report))
            self.query_one("#splits", Static).update(splits_text(overview.report))
            self.query_one(ProblemList).show(overview.report)
            self._charted = None
        if self._session is not None and self._session.problem:
            self.row_failed(self._session.problem)
        self._want(self._index)  # the same row, as it is known now

    def row_came(self, view: RowView, as_read: bool) -> None:
        """A row that was wanted."""
        if view.split is None:  # it may be the last one, where more was asked for
            self._index = view.index
        elif self._split is None:
            self._split, self._index = view.split, view.index
        self._row = view
        overview = self._overview
        self.query_one(ConversationPane).show_row(view)
        self.query_one(TokenPane).show_row(view, why_no_tokens(self._session, as_read))
        self._say("#counts", counts_line(view))
        if overview is not None and view.split is not None and self._charted != view.split:
            self._charted = view.split
            report = overview.report
            self.query_one(LengthHistogram).show(report.split(view.split), report.max_length)
        self._paint()

    def row_failed(self, reason: str) -> None:
        """A row that cannot be had; said once, however often it is tried."""
        self._searching = False
        if reason != self._complaint:
            self._complaint = reason
            self.notify(clean(reason), severity="error", timeout=10, markup=False)

    def search_ended(self, index: int | None) -> None:
        """Go where the text was found."""
        self._searching = False
        if index is None:
            self.notify(f"No further row holds {one_line(self._sought)}", markup=False)
            self._paint()
        else:
            self._want(index)

    def on_problem_list_chosen(self, event: ProblemList.Chosen) -> None:
        """Go to a row with a problem."""
        self._show_view("row")
        self._split = None
        self._want(event.row)

    @property
    def _overview(self) -> Overview | None:
        return self._session.overview if self._session is not None else None

    def _want(self, index: int) -> None:
        if self._session is None:
            return
        count = self._session.count(self._split)
        self._index = max(0, index if count is None else min(index, count - 1))
        self._session.want(Place(self._split, self._index))
        self._paint()

    # --- painting --------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Take in how far the worker is, and paint what changed."""
        if self.is_current:
            self._open_wanted()
        if self._session is not None:
            self._session.take_events(time.monotonic() + FOLD_SECONDS)
            if self.is_current:
                self._paint()

    def _paint(self) -> None:
        session = self._session
        self.set_class(session is None or self._row is None, "-nothing")
        if session is None:
            self._say("#source", "")
            self._say("#place", "")
            self._say("#nothing", NOTHING)
            return
        place = place_words(session, self._split, self._index, self._row, self._searching)
        self._say("#source", source_words(session))
        self._say("#place", place)
        self._say("#nothing", clean(session.problem) or "Opening…")

    def _say(self, selector: str, words: str) -> None:
        """Update a line, if it says something else now."""
        if self._said.get(selector) != words:
            self._said[selector] = words
            self.query_one(selector, Static).update(Text(words))

    # --- moving ----------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Some rows on or back."""
        if self._view == "problems":
            problems = self.query_one(ProblemList)
            move = problems.action_cursor_down if by > 0 else problems.action_cursor_up
            move()
        else:
            here = self._index
            if here == LAST and self._row is not None:  # the end is not found yet: rather not
                here = self._row.index
            self._want(here + by)

    def action_first(self) -> None:
        """The first row."""
        self._want(0)

    def action_last(self) -> None:
        """The last row, which may first have to be found."""
        self._want(LAST)

    def action_split(self) -> None:
        """The next split."""
        overview = self._overview
        if overview is None or not overview.rows:
            self.notify("The splits are known when the data is prepared", timeout=3)
            return
        names = list(overview.rows)
        here = names.index(self._split) if self._split in names else -1
        self._split = names[(here + 1) % len(names)]
        self._want(0)

    def action_again(self) -> None:
        """Search on from the next row."""
        if not self._sought:
            self.action_ask("search")
        else:
            self._search(self._index + 1)

    def _search(self, start: int) -> None:
        if self._session is not None:
            self._searching = True
            self._session.search(self._sought, Place(self._split, start))
            self._paint()

    # --- views -----------------------------------------------------------------------------------

    def action_view(self) -> None:
        """The next view; where both fit side by side, row and tokens are one."""
        views = [view for view in VIEWS if view != "tokens" or self.app.size.width < WIDE]
        here = views.index(self._view) if self._view in views else 0
        self._show_view(views[(here + 1) % len(views)])

    def action_show(self, view: str) -> None:
        """A view, or the row again."""
        self._show_view("row" if self._view == view else view)

    def action_leave_view(self) -> None:
        """Close what is open: the question, then the view, then the screen."""
        if self.query_one(AskLine).is_open:
            self._close_line()
        elif self._view != "row":
            self._show_view("row")
        else:
            self.app.action_go("runs")  # type: ignore[attr-defined]

    def action_scroll_text(self, lines: int, pages: int = 0) -> None:
        """Scroll what is in sight."""
        for pane in self.query("ConversationPane, TokenPane, #tables"):
            height = max(1, pane.size.height - 1)
            pane.scroll_relative(y=lines + pages * height, animate=False)

    def _show_view(self, view: str) -> None:
        self._view = view
        for name in VIEWS:
            self.set_class(name == view, f"-{name}")
        problems = self.query_one(ProblemList)
        self.set_focus(problems if view == "problems" else None)
        self._paint()

    # --- questions -------------------------------------------------------------------------------

    def action_ask(self, what: str) -> None:
        """Ask for a file, a text or a number."""
        if self._session is None and what != "open":
            what = "open"
        self._asking = what
        line = self.query_one(AskLine)
        line.open(PROMPTS[what], self._sought if what == "search" else "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the answer."""
        value = event.value.strip()
        self._close_line()
        if not value:
            return
        if self._asking == "open":
            self.app.data = value  # type: ignore[attr-defined]
            self.open(value)
        elif self._asking == "search":
            self._sought = value
            self._search(self._index)
        elif value.replace(",", "").isdecimal() and len(value) < 18:
            self._want(int(value.replace(",", "")) - 1)
        else:
            self.notify("That is no number of a row", severity="warning")

    def _close_line(self) -> None:
        self.query_one(AskLine).close()
        self._show_view(self._view)
