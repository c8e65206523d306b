"""Try: a conversation with two models side by side: the base and what was trained, or others."""

import secrets
import time
from pathlib import Path

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.widgets import Footer, Static

from trainer_core.errors import BackpropError
from trainer_core.runs.registry import list_runs
from tui.export_words import run_choices
from tui.screens.choose import Choose
from tui.screens.try_talk import SIDES, TryTalk
from tui.threads import tell
from tui.try_found import Found, look, place_to_open
from tui.try_words import head_text, nothing_text, row_text, side_text
from tui.widgets.ask_line import AskLine
from tui.widgets.chat_pane import ChatPane
from tui.widgets.prompt_line import PromptLine
from tui.widgets.top_bar import TopBar

FOLD_SECONDS = 0.02
# How often the run is looked at for new checkpoints and exports.
LOOK_SECONDS = 5.0
WRITE = "⏎ writes a prompt, v takes one of the data"


class TryScreen(TryTalk):
    """Both sides are asked the same; each keeps its own conversation. A model is loaded when the
    first prompt is written, and let go of when the screen is left."""

    AUTO_FOCUS = ""  # the keys of this screen first
    BINDINGS = [
        Binding("enter", "ask", "Ask", key_display="⏎", tooltip="Ask what is shown, or write it"),
        Binding("i", "write", "Write", show=False, tooltip="Write a prompt, or change it"),
        Binding("v", "row(1)", "Row", tooltip="The next row of the data that was held out"),
        Binding("V", "row(-1)", show=False, tooltip="The row before"),
        Binding("m", "model", "Model", tooltip="Choose who answers on the marked side"),
        Binding("tab", "side", "Side", key_display="⇥", tooltip="Mark the other side"),
        Binding("z", "zoom", "Zoom", show=False, tooltip="The marked side alone, or both"),
        Binding("s", "sampling", "Sampling", tooltip="temperature, top_p, max_tokens, seed"),
        Binding("n", "new", "New", tooltip="Begin a new conversation"),
        Binding("o", "run", "Run", show=False, tooltip="Choose another run"),
        Binding("x", "hush", "Stop", tooltip="Stop the answers; esc does the same"),
        Binding("j,down", "scroll_text(1)", show=False, key_display="j", tooltip="Scroll down"),
        Binding("k,up", "scroll_text(-1)", show=False, key_display="k", tooltip="Scroll up"),
        Binding("pagedown,space", "scroll_text(0, 1)", show=False, tooltip="Scroll a page down"),
        Binding("pageup", "scroll_text(0, -1)", show=False, tooltip="Scroll a page up"),
        Binding("g,home", "end(0)", show=False, key_display="g", tooltip="To the beginning"),
        Binding("G,end", "end(1)", show=False, key_display="G", tooltip="To the end"),
        Binding("escape", "leave_it", show=False, tooltip="Stop, close, forget; then to Runs"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._problem = ""
        self._looked = 0.0
        self._was_busy = False
        self._said: dict[str, Text] = {}

    def compose(self) -> ComposeResult:
        yield TopBar("try")
        yield Static(id="head", markup=False)
        yield AskLine(id="ask")
        yield Static(id="nobody", classes="empty", markup=False)
        with Container(id="sides"):
            for name in SIDES:
                with Vertical(id=name):
                    yield Static(id=f"{name}-head", classes="who", markup=False)
                    yield ChatPane(id=f"{name}-chat")
        yield Static(id="row", markup=False)
        yield PromptLine(WRITE, id="prompt")
        yield Footer()

    def on_mount(self) -> None:
        self.set_interval(1 / getattr(self.app, "fps", 10), self._tick)

    def on_screen_resume(self) -> None:
        """Open what the app was asked for, if that is another than last time."""
        wanted = getattr(self.app, "tried", None)
        if wanted is not None and wanted != self._place:
            self.open(wanted)
        else:
            for side in self._sides:
                side.return_to()
            self._look_again(opening=self._found is None)

    def on_unmount(self) -> None:
        for side in self._sides:
            side.close()
        if self._rows is not None:
            self._rows.close()

    # --- what there is ---------------------------------------------------------------------------

    def open(self, place: Path) -> None:
        """Talk to another run, or to weights that lie in none."""
        for name, side in zip(SIDES, self._sides, strict=True):
            side.forget()
            self.query_one(f"#{name}-chat", ChatPane).forget()
        if self._rows is not None:
            self._rows.close()
        self._rows = self._row = self._draft = self._found = self._index = None
        self._place, self._problem, self._reading = place, "", False
        self._look_again(opening=True)

    def _look_again(self, *, opening: bool) -> None:
        self._looked = time.monotonic()
        self._look(self._place, opening)

    @work(thread=True, exclusive=True, group="look")
    def _look(self, place: Path | None, opening: bool) -> None:
        try:
            place = place or place_to_open()
            found = look(place) if place is not None else None
        except (BackpropError, OSError) as error:
            tell(self, self._seen, place, None, opening, str(error))
        else:
            tell(self, self._seen, place, found, opening, "")

    def _seen(self, place: Path | None, found: Found | None, opening: bool, problem: str) -> None:
        if self._place not in (None, place):
            return
        self._place, self._problem = place, problem
        if found is not None:
            self._found = found
        if found is not None and opening:
            self._conversation = secrets.token_hex(4)
            for side, model in zip(self._sides, (found.base, found.chosen), strict=True):
                side.choose(model)
            self._active = 1 if found.chosen is not None else 0
        self.paint()

    # --- painting --------------------------------------------------------------------------------

    def _tick(self) -> None:
        for side in self._sides:
            side.take_events(time.monotonic() + FOLD_SECONDS)
        if self not in self.app.screen_stack:  # left, not just covered by a question
            self._let_go()
        elif self.is_current:
            if time.monotonic() - self._looked >= LOOK_SECONDS:
                self._look_again(opening=self._found is None)
            if any(side.changed for side in self._sides):
                self.paint()

    def _let_go(self) -> None:
        """End what was started here, when its answers are whole."""
        for side in self._sides:
            side.leave()
        if self._rows is not None:
            self._rows.close()

    def paint(self) -> None:
        """Show what is known."""
        found = self._found
        self.set_class(found is None, "-nobody")
        self._say("#nobody", Text(nothing_text(self._place, self._problem)))
        head = Text()
        if found is not None:
            head = head_text(found, self._sampling, self.size.width - 2)
        self._say("#head", head)
        self._say("#row", Text("Reading the rows…") if self._reading else row_text(self._row))
        alone = self.has_class("-zoom") or any(side.model is None for side in self._sides)
        self.set_class(alone, "-alone")
        for number, (name, side) in enumerate(zip(SIDES, self._sides, strict=True)):
            active = number == self._active
            self.query_one(f"#{name}").display = active or not alone
            self._say(f"#{name}-head", side_text(side, active=active))
            if side.changed:
                side.changed = False
                self.query_one(f"#{name}-chat", ChatPane).show_exchanges(side.exchanges)
        busy = self._is_busy
        if busy != self._was_busy:
            self._was_busy = busy
            self.refresh_bindings()

    def _say(self, selector: str, words: Text) -> None:
        """Update a line, if it says something else now; it is there while it says something."""
        if self._said.get(selector) != words:
            self._said[selector] = words
            line = self.query_one(selector, Static)
            line.update(words)
            line.set_class(bool(words), "-shown")

    # --- another run ---------------------------------------------------------------------------

    def action_run(self) -> None:
        """Choose another run."""
        entries = {str(entry.folder.path): entry for entry in list_runs()}
        if not entries:
            self.notify("No runs yet. Start one: backprop demo", timeout=4)
            return

        def answered(key: str | None) -> None:
            if key is not None:
                self.app.open_try(entries[key].folder.path)  # type: ignore[attr-defined]
                self.open(entries[key].folder.path)

        title = "With what of which run? ⏎ takes it."
        self.app.push_screen(Choose(title, run_choices(entries), str(self._place)), answered)

    # --- moving ----------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key has a meaning now."""
        if action == "hush":
            return self._is_busy
        if action in {"ask", "new", "model"}:  # their places in the footer go to the stop
            return not self._is_busy
        return super().check_action(action, parameters)

    def action_scroll_text(self, lines: int, pages: int = 0) -> None:
        """Scroll both sides."""
        for pane in self.query(ChatPane):
            height = max(1, pane.size.height - 1)
            pane.scroll_relative(y=lines + pages * height, animate=False)

    def action_end(self, which: int) -> None:
        """To the beginning or the end of both sides."""
        for pane in self.query(ChatPane):
            pane.scroll_to(0, which * pane.max_scroll_y, animate=False)

    def on_resize(self) -> None:
        """Paint for the new width, once it is known."""
        self.call_after_refresh(self.paint)

    def action_leave_it(self) -> None:
        """Back by one: close the settings, stop the answers, close the line, empty it; then leave
        the screen."""
        if self.query_one("#ask", AskLine).is_open:
            self._close_settings()
        elif self._is_busy:
            self.action_hush()
        elif self._line.is_open:
            self._close_line()
        elif self._line.value:
            self._draft = self._row = None
            self._line.show("")
            self.paint()
        else:
            self.app.action_go("runs")  # type: ignore[attr-defined]
