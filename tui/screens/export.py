"""Export: choose what is made of a run, see what it takes, follow it, read how it was checked."""

import time
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.widgets import Footer, OptionList, Static

from trainer_core.errors import BackpropError
from trainer_core.runs.events import Finished
from trainer_core.runs.folder import RunFolder
from trainer_core.text import clean, one_line
from tui.copied import copy
from tui.export_found import Found, look, run_to_open
from tui.export_rows import export_rows
from tui.export_words import (
    ending_text,
    form_head,
    job_head,
    notes_text,
    sum_text,
)
from tui.screens.export_form import ExportForm
from tui.threads import tell
from tui.widgets.ask_line import AskLine
from tui.widgets.export_choices import ExportChoices
from tui.widgets.export_progress import ExportProgress
from tui.widgets.export_results import WrittenList, WrittenPane, command_text
from tui.widgets.top_bar import TopBar

# How often the run, its exports and the free space are looked at while the form is in sight.
LOOK_SECONDS = 5.0
PAINT_SECONDS = 0.5
FIRST = "adapter"
# Where else than everywhere a key is of use.
ONLY_IN = {
    "change": "form",
    "start": "form",
    "run": "form",
    "place": "form",
    "new": "job",
    "stop": "job",
    "scroll": "job",
}


class ExportScreen(ExportForm):
    """Two views: the form, and a job that goes on or has ended."""

    AUTO_FOCUS = "#choices"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space",
            "change",
            "Choose",
            key_display="⏎",
            tooltip="Choose what is here, or change it",
        ),
        Binding("r", "start", "Start", tooltip="Start the export"),
        Binding("o", "run", "Run", tooltip="Choose another run"),
        Binding("c", "place", "Weights", tooltip="Choose the best, the last or a checkpoint"),
        Binding("n", "new", "New", tooltip="To the form, for another export"),
        Binding("v", "view", "View", tooltip="From the form to the newest export, and back"),
        Binding("y", "copy", "Copy", tooltip="Copy what to do next; again: the command after it"),
        Binding("x", "stop", "Stop", tooltip="Stop the export that goes on"),
        Binding("j", "move(1)", show=False, tooltip="One line down"),
        Binding("k", "move(-1)", show=False, tooltip="One line up"),
        Binding("g", "end(-1)", show=False, tooltip="To the first line"),
        Binding("G", "end(1)", show=False, tooltip="To the last line"),
        Binding("J", "scroll(1)", "Scroll", key_display="J/K", tooltip="The check, further down"),
        Binding("K", "scroll(-1)", show=False, tooltip="The check, further up"),
        Binding("escape", "leave_view", show=False, tooltip="Back to the form, then to Runs"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._taken: Path | None = None
        self._copied = 0
        self._looked = self._painted = 0.0
        self._told_end = False
        self._said: dict[str, Text] = {}

    def compose(self) -> ComposeResult:
        yield TopBar("export")
        yield Static(id="head", markup=False)
        yield AskLine(id="ask")
        yield Static(id="ending", markup=False)
        with Container(id="choosing"):
            yield ExportChoices(id="choices")
            with VerticalScroll(id="about", can_focus=False):
                yield Static(id="about-text", markup=False)
        with Container(id="job"):
            with Vertical(id="steps"):
                yield ExportProgress()
                yield WrittenList(id="written")
            with Vertical(id="checked"):
                yield WrittenPane(id="check")
                yield Static(id="next", markup=False)
        yield Static(id="sum", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        self._show_mode("form")
        self.set_interval(1 / getattr(self.app, "fps", 10), self._tick)

    def on_screen_resume(self) -> None:
        """Open the run that the app follows, if that is another than last time."""
        followed = getattr(self.app, "followed", None)
        if followed is not None and followed.path != self._taken:
            self.open(followed)
        else:
            self.look(opening=self.folder is None)

    def open(self, folder: RunFolder) -> None:
        """Show the form for a run; if an export of it goes on, that."""
        self._taken, self.folder, self.place, self.problem = folder.path, folder, "", ""
        self.look(opening=True)

    # --- looking ---------------------------------------------------------------------------------

    def look(self, opening: bool = False) -> None:
        self._looked = time.monotonic()
        self._look_at(self.folder, self.place, opening)

    @work(thread=True, exclusive=True, group="look")
    def _look_at(self, folder: RunFolder | None, place: str, opening: bool) -> None:
        try:
            folder = folder or run_to_open()
            found = look(folder, place, self.session.found) if folder is not None else None
        except (BackpropError, OSError) as error:
            tell(self, self._found, None, opening, clean(str(error)))
        else:
            tell(self, self._found, found, opening)

    def _found(self, found: Found | None, opening: bool, problem: str = "") -> None:
        self.problem = problem or self.problem
        if found is not None and (self.folder or found.entry.folder) == found.entry.folder:
            self.folder = found.entry.folder
            self.session.take(found)
            if opening and found.living is not None:
                self.show_job(found.living.folder)
            elif opening:
                self._show_mode("form")
        self.paint()
        if opening:
            self.choices.go(FIRST)

    # --- painting --------------------------------------------------------------------------------

    def _tick(self) -> None:
        changed, now = self.take(), time.monotonic()
        if self.is_current and (changed or now - self._painted >= PAINT_SECONDS):
            self.paint()
        if self.is_current and self.mode == "form" and now - self._looked >= LOOK_SECONDS:
            self.look()

    def paint(self) -> None:
        self._painted = time.monotonic()
        if self.mode == "form":
            self._paint_form()
        else:
            self._paint_job()

    def _paint_form(self) -> None:
        self._say("#head", form_head(self.session))
        self._say("#ending", notes_text(self.session, self.problem))
        self.choices.show(export_rows(self.session, self.unfolded))
        self._show_about()
        self._say("#sum", Text("Starting…") if self.starting else sum_text(self.session))

    def _paint_job(self) -> None:
        if self.job is None:
            return
        self._say("#head", job_head(self.job, self.state, self.view.trouble, self.asked))
        self._say("#ending", ending_text(self.view, self.state, self.job))
        self.query_one(ExportProgress).show(self.view)
        if self.query_one(WrittenList).show(self.view.written):
            self._show_written()
        self.set_class(bool(self.view.written), "-written")
        outcome = self.view.outcome
        if outcome is not None and not self._told_end:
            self._told_end = True
            self._say("#next", command_text(self._commands))
            if time.time() - outcome.time < PAINT_SECONDS * 10:
                self.app.bell()
                self.look()

    def _show_about(self) -> None:
        row = self.choices.row
        self._say("#about-text", row.details if row is not None and row.details else Text())

    def _show_written(self) -> None:
        self._copied = 0
        self.query_one(WrittenPane).show_written(self.query_one(WrittenList).chosen)
        self._say("#next", command_text(self._commands))

    def _say(self, selector: str, words: Text) -> None:
        """Update a line, if it says something else now; it is there while it says something."""
        if self._said.get(selector) != words:
            self._said[selector] = words
            line = self.query_one(selector, Static)
            line.update(words)
            line.set_class(bool(words), "-shown")

    def on_resize(self) -> None:
        """Paint for the new width, once it is known."""
        self.call_after_refresh(self.paint)

    # --- views -----------------------------------------------------------------------------------

    def _show_mode(self, mode: str) -> None:
        self.mode = mode
        self.set_class(mode == "form", "-form")
        self.set_class(mode == "job", "-job")
        self.set_focus(self.choices if mode == "form" else self.query_one(WrittenList))
        self.refresh_bindings()
        self.paint()

    def show_job(self, folder: RunFolder) -> None:
        if self.job is None or folder.path != self.job.path:
            self._told_end = False
            self.follow(folder)
            self._show_written()
        self._show_mode("job")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Only the keys that are of use in the view at hand."""
        return ONLY_IN.get(action, self.mode) == self.mode

    def action_view(self) -> None:
        """To the export that was looked at last, else the newest; or back to the form."""
        exports = self.session.found.exports if self.session.found is not None else ()
        mine = self.job is not None and any(one.folder.path == self.job.path for one in exports)
        if self.mode == "job":
            self._show_mode("form")
        elif mine and self.job is not None:
            self.show_job(self.job)
        elif exports:
            self.show_job(exports[0].folder)
        else:
            self.notify("This run has no exports yet", timeout=3)

    def action_new(self) -> None:
        """To the form."""
        self._show_mode("form")
        self.look()

    def action_leave_view(self) -> None:
        """Back by one: from the question, the check, the job, then the screen."""
        if self.asking:
            self.close_line()
        elif isinstance(self.focused, WrittenPane):
            self.set_focus(self.query_one(WrittenList))
        elif self.mode == "job":
            self.action_new()
        else:
            self.app.action_go("runs")  # type: ignore[attr-defined]

    # --- moving and copying ----------------------------------------------------------------------

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another line is under the cursor."""
        event.stop()
        if event.option_list.id == "choices":
            self._show_about()
        else:
            self._show_written()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """As the key; in the list of what was written, to the whole text."""
        event.stop()
        if event.option_list.id == "choices":
            self.action_change()
        else:
            self.set_focus(self.query_one(WrittenPane))

    @property
    def _list(self) -> OptionList:
        return self.choices if self.mode == "form" else self.query_one(WrittenList)

    def action_move(self, by: int) -> None:
        """As the arrows."""
        (self._list.action_cursor_down if by > 0 else self._list.action_cursor_up)()

    def action_end(self, which: int) -> None:
        """To the first line or the last."""
        (self._list.action_last if which > 0 else self._list.action_first)()

    def action_scroll(self, by: int) -> None:
        """Scroll the check of what is under the cursor."""
        self.query_one(WrittenPane).scroll_relative(y=3 * by, animate=False)

    @property
    def _commands(self) -> list[str]:
        """What to do next: with what is under the cursor, then with the whole export."""
        one, outcome = self.query_one(WrittenList).chosen, self.view.outcome
        commands = list(one.commands) if one is not None else []
        if isinstance(outcome, Finished):
            commands += outcome.commands
        return [one_line(command) for command in dict.fromkeys(commands)]

    def action_copy(self) -> None:
        """Copy a command: of what was written, each in turn; in the form, what adds what lacks."""
        if self.mode == "form":
            row = self.choices.row
            way = self.session.way_out(row.key) if row is not None and row.why_not else ""
            commands = [way] if way else []
        else:
            commands = self._commands
        if not commands:
            self.notify("There is nothing to copy on this line", timeout=3)
            return
        place, self._copied = self._copied % len(commands), self._copied + 1
        count = f" {place + 1} of {len(commands)}" if len(commands) > 1 else ""
        copy(self, commands[place], f"Copied{count}")
