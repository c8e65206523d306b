"""What the Config screen does with files and runs: open, save, check, start, leave."""

from collections.abc import Callable
from pathlib import Path

from textual import work
from textual.screen import Screen

from trainer_core.config.load import LoadedConfig
from trainer_core.errors import BackpropError, UserError
from trainer_core.planning.preflight import preflight
from trainer_core.runs.folder import RunFolder
from trainer_core.text import clean, one_line
from tui.config_session import ConfigSession
from tui.config_start import start_run
from tui.screens.dialog import Dialog
from tui.threads import tell


class ConfigFiles(Screen[None]):
    """A screen with a config open; how it looks is for the class made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.session = ConfigSession()
        self._busy = ""
        self._then: Callable[[], None] | None = None

    def show_session(self, anew: bool = False) -> None:
        """Paint what has changed; all of it if another config was opened."""
        raise NotImplementedError

    def ask_path(self) -> None:
        """Ask in which file to save."""
        raise NotImplementedError

    def say(self, problem: Exception | str, severity: str = "error") -> None:
        """Tell what went wrong."""
        self.notify(clean(str(problem)), severity=severity, timeout=10, markup=False)  # type: ignore[arg-type]

    # --- opening ---------------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """Open a config, after asking what becomes of changes that are not saved."""
        self.when_saved(lambda: self._open(path))

    def action_new(self) -> None:
        """Begin a new config."""

        def begin() -> None:
            self.session.open_new()
            self.show_session(anew=True)

        self.when_saved(begin)

    def _open(self, path: Path) -> None:
        try:
            self.session.open(path)
        except UserError as error:
            self.say(error)
            return
        for note in self.session.notes:
            self.say(note, "warning")
        self.show_session(anew=True)

    # --- saving ----------------------------------------------------------------------------------

    def when_saved(self, then: Callable[[], None]) -> None:
        """Do something that ends this config, once its changes are saved or not wanted."""
        if not self.session.is_changed:
            then()
            return

        def answered(answer: str | None) -> None:
            if answer == "save":
                self._then = then
                self.action_save()
            elif answer == "drop":
                then()

        answers = {
            "stay": "Go on editing",
            "save": "Save them",
            "drop": "Lose them",
        }
        question = f"{one_line(self.session.name)} has changes that are not saved."
        self.app.push_screen(Dialog(question, answers), answered)

    def action_save(self) -> None:
        """Save in the file that is open; ask for one where there is none."""
        if self.session.path is None:
            self.ask_path()
        elif self.session.changed_on_disk():
            question = f"{one_line(self.session.name)} has been changed by somebody else since."
            self._ask_to_replace(question, self.session.path)
        else:
            self._save(self.session.path)

    def save_as(self, path: Path) -> None:
        """Save in another file; one that is there is replaced only if that is meant."""
        path = path.expanduser()
        if path.is_file() and path != self.session.path:
            self._ask_to_replace(f"{one_line(str(path))} exists.", path)
        else:
            self._save(path)

    def _ask_to_replace(self, question: str, path: Path) -> None:
        def answered(answer: str | None) -> None:
            if answer == "replace":
                self._save(path)

        answers = {"keep": "Leave it as it is", "replace": "Replace it"}
        self.app.push_screen(Dialog(question, answers), answered)

    def _save(self, path: Path) -> None:
        then, self._then = self._then, None
        try:
            self.session.save(path)
        except UserError as error:
            self.say(error)
            return
        count = len(self.session.checked.mistakes)
        wrong = f", with {count} still to mend" if count or self.session.broken else ""
        self.notify(f"Saved in {one_line(str(path))}{wrong}", timeout=3, markup=False)
        self.show_session()
        if then is not None:
            then()

    def leave(self) -> bool:
        """Whether leaving the dashboard needs an answer first; then the question is open."""
        if not self.session.is_changed:
            return False
        self.when_saved(self.app.exit)
        return True

    # --- checking and starting -------------------------------------------------------------------

    def action_check(self) -> None:
        """Check the config as a start would."""
        loaded = self._ready()
        if loaded is not None:
            self.session.planner.forget()
            self._check(loaded)

    def action_start(self) -> None:
        """Start a run; ask first if the plan says that it will not fit."""
        loaded = self._ready()
        if loaded is None:
            return
        draft = self.session.draft
        if draft is None or draft.memory is None or draft.memory.fits:
            self._begin(loaded)
            return

        def answered(answer: str | None) -> None:
            if answer == "start":
                self._begin(loaded)

        answers = {"back": "Change it first", "start": "Start it all the same"}
        self.app.push_screen(Dialog(f"It will not fit. {draft.advice}", answers), answered)

    def action_next_mistake(self) -> None:
        """Show where the next mistake is."""
        raise NotImplementedError

    def _ready(self) -> LoadedConfig | None:
        """The config, if a run could be started from it now; else say why not."""
        session = self.session
        if self._busy:
            self.notify(self._busy, timeout=3)
        elif session.broken is not None:
            self.say(session.broken)
        elif session.loaded is None:
            self.say(session.checked.mistakes[0])
            self.action_next_mistake()
        else:
            return session.loaded
        return None

    @work(thread=True, exclusive=True, group="check")
    def _check(self, loaded: LoadedConfig) -> None:
        try:
            preflight(loaded)
        except (BackpropError, OSError) as error:
            tell(self, self.say, error)
        else:
            words = "Checked: the files, the first rows and the model are right"
            tell(self, self._checked, words)
        tell(self, self.show_session)

    def _checked(self, words: str) -> None:
        self.notify(words, timeout=4)

    def _begin(self, loaded: LoadedConfig) -> None:
        self._busy = "The run is being started"
        self.notify(self._busy, timeout=3)
        self._start(self.session.text, loaded)

    def run_started(self, folder: RunFolder) -> None:
        """Watch the run."""
        self.app.open_run(folder)  # type: ignore[attr-defined]

    @work(thread=True, exclusive=True, group="start")
    def _start(self, text: str, loaded: LoadedConfig) -> None:
        try:
            folder = start_run(text, loaded)
        except (BackpropError, OSError) as error:
            tell(self, self._started, None, error)
        else:
            tell(self, self._started, folder)

    def _started(self, folder: RunFolder | None, error: Exception | None = None) -> None:
        self._busy = ""
        if error is not None:
            self.say(error)
        if folder is not None:
            self.run_started(folder)
