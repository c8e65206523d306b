"""The form of the Export screen: choosing what is made, of what, and starting it."""

from collections.abc import Callable

from textual.widgets import Input

from trainer_core.errors import UserError
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import list_runs
from trainer_core.text import clean, one_line
from tui.export_session import ExportSession, choices_of
from tui.export_words import place_choices, run_choices
from tui.screens.choose import Choose
from tui.screens.dialog import Dialog
from tui.screens.export_job import ExportJob
from tui.widgets.ask_line import AskLine
from tui.widgets.export_choices import ExportChoices


class ExportForm(ExportJob):
    """A screen with the form in it; how it looks is for the class made of it. `mode` is the view in
    sight: form or job."""

    def __init__(self) -> None:
        super().__init__()
        self.session = ExportSession()
        self.mode = "form"
        self.folder: RunFolder | None = None
        self.place = ""
        self.problem = ""
        self.unfolded = False
        self.asking = ""

    def paint(self) -> None:
        """Paint what has changed."""
        raise NotImplementedError

    def look(self, opening: bool = False) -> None:
        """Look at `place` of the run in `folder`; as if it were opened, if `opening`."""
        raise NotImplementedError

    def show_job(self, folder: RunFolder) -> None:
        """Show an export."""
        raise NotImplementedError

    @property
    def choices(self) -> ExportChoices:
        """The lines."""
        return self.query_one(ExportChoices)

    def action_change(self) -> None:
        """What the line under the cursor is for."""
        row = self.choices.row
        if self.mode != "form" or row is None:
            return
        key, _, number = row.key.partition(" ")
        if row.key == "more":
            self.unfolded = not self.unfolded
        elif key == "export":
            self._look_at_export(number)
            return
        elif row.ticked is not None:
            self._try(lambda: self.session.toggle(row.key))
        elif choices_of(row.key):
            self._try(lambda: self.session.cycle(row.key))
        else:
            self.asking = row.key
            value = self.session.value(row.key)
            about = f"{row.label}; nothing for the default"
            self.query_one("#ask", AskLine).open(about, clean(str(value or "")))
        self.paint()

    def _look_at_export(self, number: str) -> None:
        found = self.session.found
        for one in found.exports if found is not None else ():
            if one.number == number:
                self.show_job(one.folder)

    def action_run(self) -> None:
        """Choose another run."""
        entries = {str(entry.folder.path): entry for entry in list_runs()}
        if not entries:
            self.notify("No runs yet. Start one: backprop demo", timeout=4)
            return

        def answered(key: str | None) -> None:
            if key is not None:
                self.folder, self.place, self.problem = entries[key].folder, "", ""
                self.look(opening=True)

        chosen = str(self.folder.path) if self.folder is not None else ""
        title = "Of which run? ⏎ takes it."
        self.app.push_screen(Choose(title, run_choices(entries), chosen), answered)

    def action_place(self) -> None:
        """Choose what of the run: the best, the last or a checkpoint."""
        found = self.session.found
        if found is None or found.place is None:
            self.notify("Nothing is trained yet that could be exported", timeout=4)
            return

        def answered(name: str | None) -> None:
            if name is not None:
                self.place = name
                self.look()

        title = "Which of its weights? The best by validation comes first."
        self.app.push_screen(Choose(title, place_choices(found.places), found.place.name), answered)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take a setting that was typed."""
        name, value = self.asking, event.value.strip()
        self.close_line()
        if name:
            self._try(lambda: self.session.enter(name, value))
            self.paint()

    def close_line(self) -> None:
        """Type no more."""
        self.asking = ""
        self.query_one("#ask", AskLine).close()
        self.set_focus(self.choices)

    def _try(self, change: Callable[[], None]) -> None:
        self.problem = ""
        try:
            change()
        except UserError as error:
            self.problem = one_line(str(error))

    def action_start(self) -> None:
        """Start what is chosen; ask first if an export of the run goes on."""
        self.problem = ""
        try:
            request = self.session.request()
        except UserError as error:
            self.problem = one_line(str(error))
            self.paint()
            return
        found = self.session.found
        if found is None or found.living is None:
            self.start(request)
            self.paint()
            return

        def answered(answer: str | None) -> None:
            if answer == "start":
                self.start(request)
            elif answer == "show" and found.living is not None:
                self.show_job(found.living.folder)

        answers = {"show": "Show that one", "start": "Start another beside it"}
        question = f"exports/{found.living.number} of this run goes on."
        self.app.push_screen(Dialog(question, answers), answered)

    def job_started(self, folder: RunFolder) -> None:
        """Show it."""
        self.show_job(folder)
        self.look()

    def job_not_started(self, why: str) -> None:
        """Say why, above the form."""
        self.problem = one_line(why)
        self.paint()
