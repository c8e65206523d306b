"""Config: a form and its YAML, each following the other, with the plan and what it costs."""

import gc
import time
from pathlib import Path

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.widgets import Footer, Input, Static, TextArea
from textual.worker import get_current_worker

from trainer_core.config.load import LoadedConfig
from trainer_core.config.presets import load_preset, shipped_presets
from trainer_core.errors import UserError
from trainer_core.runs.folder import RunFolder
from trainer_core.text import clean, one_line
from tui.config_words import (
    VIEWS,
    field_at_line,
    head_words,
    preset_choices,
    why_no_plan,
    yaml_marks,
)
from tui.screens.choose import Choose
from tui.screens.config_files import ConfigFiles
from tui.threads import tell
from tui.widgets.ask_line import AskLine
from tui.widgets.config_form import ConfigForm
from tui.widgets.field_help import FieldHelp
from tui.widgets.memory_bar import MemoryBar
from tui.widgets.plan_pane import PlanPane
from tui.widgets.top_bar import TopBar
from tui.widgets.yaml_pane import YamlPane

# As in the app's HORIZONTAL_BREAKPOINTS: from here on, form, YAML and plan fit side by side.
WIDE = 120
# Data is looked at when its name has stayed the same for so long.
PATIENCE_SECONDS = 0.3
PROMPTS = {
    "find": "part of a field's name, or of what it is for",
    "open": "a config to open (YAML)",
    "save": "file to save the config in",
}


def spare_collections() -> None:
    """Leave what is loaded by now out of garbage collections: a full one over all of it holds up a
    key press for some 60 ms."""
    gc.collect()
    gc.freeze()


class ConfigScreen(ConfigFiles):
    """Edits one config, and starts runs of it."""

    AUTO_FOCUS = "#rows"
    BINDINGS = [
        Binding("u,ctrl+z", "undo", show=False, key_display="u", tooltip="Undo the last change"),
        Binding(
            "U,ctrl+y", "redo", show=False, key_display="U", tooltip="Do again what was undone"
        ),
        Binding("slash", "ask('find')", "Find", key_display="/", tooltip="Find fields by words"),
        Binding("n", "next_mistake", show=False, tooltip="To the next field that is wrong"),
        Binding("P", "presets", "Preset", tooltip="Start from presets and recipes"),
        Binding("w,ctrl+s", "save", "Save", key_display="w", tooltip="Save the YAML"),
        Binding("S", "ask('save')", show=False, tooltip="Save the YAML in another file"),
        Binding("c", "check", show=False, tooltip="Check files, model, and what is installed"),
        Binding(
            "r,ctrl+r", "start", "Start", key_display="r", tooltip="Start a run of this config"
        ),
        Binding("tab", "switch", "YAML", tooltip="From the form to the YAML, and back"),
        Binding("v", "view", show=False, tooltip="From the form to the plan, and back"),
        Binding("o", "ask('open')", show=False, tooltip="Open another config"),
        Binding("N", "new", show=False, tooltip="Begin a new config"),
        Binding("escape", "leave_view", "Back", show=False, tooltip="Back to the form, then Runs"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._view = "form"
        self._asking = ""
        self._taken = ""
        self._said: dict[str, str] = {}
        self._is_waiting = False

    def compose(self) -> ComposeResult:
        yield TopBar("config")
        yield Static(id="head", markup=False)
        yield AskLine(id="ask")
        with Container(id="panes"):
            with Vertical(id="form"):
                yield ConfigForm(id="fields")
                yield FieldHelp(id="help")
            with Vertical(id="beside"):
                yield YamlPane(id="yaml")
                yield PlanPane(id="plan")
        yield Static(id="broken", markup=False)
        yield MemoryBar(id="memory")
        yield Footer()

    def on_mount(self) -> None:
        self.app.ask_first = self.leave  # type: ignore[attr-defined]
        self._show_view("form")
        self.show_session(anew=True)
        self._prepare()

    def on_screen_resume(self) -> None:
        self._open_wanted()

    def on_resize(self) -> None:
        self._show_row()

    # --- what is open ----------------------------------------------------------------------------

    def _open_wanted(self) -> None:
        """Show what the app was asked to show last; but changes that are not saved stay."""
        wanted = getattr(self.app, "config", "")
        if not wanted or wanted == self._taken:
            return
        self._taken = wanted
        if self.session.is_changed:
            self.say("Your changes are kept; o opens another config", "warning")
        else:
            self.open(Path(wanted))

    def run_started(self, folder: RunFolder) -> None:
        """Watch the run; what is open here stays, though the run's record could be opened now."""
        super().run_started(folder)
        self._taken = self.app.config  # type: ignore[attr-defined]

    @work(thread=True, group="prepare")
    def _prepare(self) -> None:
        alone = not self.app.is_headless
        self.session.planner.prepare()
        tell(self, self._learned)
        if alone:  # a process that is there for the dashboard alone
            spare_collections()

    @work(thread=True, exclusive=True, group="look")
    def _look(self, loaded: LoadedConfig) -> None:
        worker = get_current_worker()
        time.sleep(PATIENCE_SECONDS)
        if not worker.is_cancelled:
            self.session.planner.look(loaded)
            tell(self, self._learned)

    def _learned(self) -> None:
        self.session.learned()
        self.show_session()

    # --- painting --------------------------------------------------------------------------------

    def show_session(self, anew: bool = False) -> None:
        """Paint the form, the YAML, the plan and its cost, as they are now."""
        self._is_waiting = False
        session, form = self.session, self.query_one(ConfigForm)
        self.query_one(YamlPane).show(session.text)
        (form.open if anew else form.show)(session)
        why_not = why_no_plan(session)
        self.query_one(MemoryBar).show(session.draft, why_not)
        about = session.planner.data_words
        self.query_one(PlanPane).show_plan(session.draft, about, session.notes, why_not)
        words = (
            f"✖ {one_line(str(session.broken))} The form is as before." if session.broken else ""
        )
        self._say("#broken", words)
        self.query_one("#broken").set_class(bool(words), "-shown")
        self._show_row()
        loaded = session.loaded
        if loaded is not None and session.planner.wants_look(loaded):
            self._look(loaded)

    def _show_row(self) -> None:
        row = self.query_one(ConfigForm).row
        self.query_one(FieldHelp).show(row)
        self.query_one(YamlPane).mark(yaml_marks(self.session, row))
        self._say("#head", head_words(self.session, "" if self._is_wide else self._view))

    def _say(self, selector: str, words: str) -> None:
        """Update a line, if it says something else now."""
        if self._said.get(selector) != words:
            self._said[selector] = words
            # Of the line that comes and goes alone the size changes.
            self.query_one(selector, Static).update(Text(words), layout=selector == "#broken")

    # --- form and YAML follow each other ---------------------------------------------------------

    def on_form_rows_moved(self) -> None:
        """Explain the field, and show where the YAML has it."""
        self._show_row()
        row, yaml = self.query_one(ConfigForm).row, self.query_one(YamlPane)
        if row is not None and row.field is not None and not yaml.has_focus:
            line = self.session.checked.file.lines.get(row.field.keys)
            if line is not None and self.session.broken is None:
                yaml.go(line)

    def on_text_area_selection_changed(self) -> None:
        """Put the form's cursor on the field of the line."""
        yaml = self.query_one(YamlPane)
        if yaml.has_focus and self.session.broken is None:
            name = field_at_line(self.session, yaml.cursor_location[0] + 1)
            self.query_one(ConfigForm).go(name)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Take in what was typed, and paint the rest once no more of it waits."""
        text = event.text_area.text
        if text == self.session.text or not self.query_one(YamlPane).has_focus:
            return
        self.session.type(text)
        if not self._is_waiting:
            self._is_waiting = True
            self.call_later(self.show_session)

    def on_yaml_pane_undone(self, event: YamlPane.Undone) -> None:
        """As everywhere on this screen."""
        (self.action_redo if event.redo else self.action_undo)()

    def on_config_form_entered(self, event: ConfigForm.Entered) -> None:
        """Change the YAML."""
        try:
            self.session.enter(event.field, event.entry)
        except UserError as error:
            self.say(error)
        self.show_session()

    def action_undo(self) -> None:
        """Undo the last change."""
        if self.session.undo():
            self.show_session()
        else:
            self.notify("There is nothing to undo", timeout=2)

    def action_redo(self) -> None:
        """Do again what was undone."""
        if self.session.redo():
            self.show_session()
        else:
            self.notify("There is nothing to do again", timeout=2)

    def action_next_mistake(self) -> None:
        """To the next field that is wrong, or the line where the YAML breaks."""
        if self.session.broken is not None:
            self._show_view("yaml")
            self.query_one(YamlPane).go(next(iter(yaml_marks(self.session, None)), 1))
        else:
            self._show_view("form")
            if not self.query_one(ConfigForm).next_mistake():
                self.notify("No field is wrong", timeout=2)

    # --- presets ---------------------------------------------------------------------------------

    def action_presets(self) -> None:
        """Choose a preset, or one to do without."""
        try:
            presets = [load_preset(name) for name in shipped_presets()]
        except UserError as error:
            self.say(error)
            return
        chosen = self.session.presets
        choices = preset_choices(presets, chosen)
        title = "Start from a model and, if you like, recipes. ⏎ takes one, or leaves it out."
        self.app.push_screen(
            Choose(title, choices, chosen[0] if chosen else ""), self._preset_chosen
        )

    def on_config_form_presets_wanted(self) -> None:
        """As the key."""
        self.action_presets()

    def _preset_chosen(self, name: str | None) -> None:
        if name is None:
            return
        try:
            self.session.toggle_preset(name)
        except UserError as error:
            self.say(error)
        self.show_session()

    # --- views -----------------------------------------------------------------------------------

    @property
    def _is_wide(self) -> bool:
        return self.app.size.width >= WIDE

    def action_view(self) -> None:
        """The plan, or the form again; where both are in sight, the keys go there."""
        self._show_view("form" if self._view == "plan" else "plan")

    def action_switch(self) -> None:
        """From the form to the YAML, and back."""
        if not self.query_one(ConfigForm).is_entering and not self._asking:
            self._show_view("yaml" if self._view == "form" else "form")

    def action_leave_view(self) -> None:
        """Close what is open: the question, the entry, the view, then the screen."""
        form = self.query_one(ConfigForm)
        if self._asking:
            self._close_line()
            form.filter("")
        elif form.is_entering:
            form.close_entry()
        elif self._view != "form":
            self._show_view("form")
        elif form.is_filtered:
            form.filter("")
        else:
            self.app.action_go("runs")  # type: ignore[attr-defined]

    def _show_view(self, view: str) -> None:
        self._view = view
        for name in VIEWS:
            self.set_class(name == view, f"-{name}")
        if view == "form":
            self.query_one(ConfigForm).take_focus()
        else:
            self.set_focus(self.query_one(YamlPane if view == "yaml" else PlanPane))
        self._show_row()

    # --- questions -------------------------------------------------------------------------------

    def ask_path(self) -> None:
        """Ask in which file to save."""
        self.action_ask("save")

    def action_ask(self, what: str) -> None:
        """Ask for words to find, or for a file."""
        if self._view != "form":
            self._show_view("form")
        self._asking = what
        name = str(self.session.path or "config.yaml")
        value = name if what == "save" and clean(name) == name else ""
        self.query_one("#ask", AskLine).open(PROMPTS[what], value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Find while it is typed."""
        if event.input.id == "ask" and self._asking == "find":
            self.query_one(ConfigForm).filter(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the answer."""
        value, what = event.value.strip(), self._asking
        self._close_line()
        if value and what == "open":
            self.open(Path(value))
        elif value and what == "save":
            self.save_as(Path(value))

    def _close_line(self) -> None:
        self._asking = ""
        self.query_one("#ask", AskLine).close()
        self.query_one(ConfigForm).take_focus()
