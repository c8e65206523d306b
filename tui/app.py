"""The app: which screens, keys and themes there are; nothing else.

Light at import, so that the first frame comes at once: the Train screen, which needs a plotting
library, is imported when it is first shown.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from textual.app import App
from textual.binding import Binding
from textual.events import Key
from textual.filter import LineFilter
from textual.screen import Screen
from textual.theme import Theme

from trainer_core.runs.folder import RunFolder
from tui.plain import AsciiFilter, StyledFilter, shows_unicode
from tui.screens.runs import RunsScreen
from tui.terminal import Terminal
from tui.themes import DEFAULT, chosen_theme, load_themes, remember_theme
from tui.widgets.top_bar import PAGES


def _train() -> Screen[Any]:
    from tui.screens.train import TrainScreen

    return TrainScreen()


def _config() -> Screen[Any]:
    from tui.screens.config import ConfigScreen

    return ConfigScreen()


def _data() -> Screen[Any]:
    from tui.screens.data import DataScreen

    return DataScreen()


def _export() -> Screen[Any]:
    from tui.screens.export import ExportScreen

    return ExportScreen()


def _try() -> Screen[Any]:
    from tui.screens.try_ import TryScreen

    return TryScreen()


def _system() -> Screen[Any]:
    from tui.screens.system import SystemScreen

    return SystemScreen()


class BackpropApp(App[None]):
    """The dashboard. With `open_run` it starts on that run, on its Train screen or another `page`,
    with `tried` on the Try screen; `fps` bounds how often a second anything is redrawn."""

    TITLE = "backprop"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [
        (0, "-narrow"),
        (120, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (36, "-tall")]
    SCREENS: ClassVar[dict[str, Callable[[], Screen[Any]]]] = {
        "runs": RunsScreen,
        "config": _config,
        "data": _data,
        "train": _train,
        "export": _export,
        "try": _try,
        "system": _system,
    }
    BINDINGS = [
        *(
            Binding(str(number), f"go('{name}')", title, show=False, tooltip=f"The {title} screen")
            for number, (name, title) in enumerate(PAGES.items(), 1)
        ),
        Binding("t", "next_theme", "Theme", show=False, tooltip="The next theme; it is remembered"),
        Binding("question_mark", "help", "Help", key_display="?", tooltip="All keys"),
        Binding("q", "leave", "Quit", tooltip="Close the dashboard; a run goes on if you like"),
        Binding("escape", "back", "Back", show=False, tooltip="Back to the list of runs"),
        Binding("ctrl+c", "leave", "Quit", show=False, system=True),
        Binding("ctrl+z", "to_shell", show=False, tooltip="Back to the shell, until fg"),
    ]

    def __init__(
        self,
        open_run: RunFolder | None = None,
        fps: int = 10,
        data: str = "",
        config: str = "",
        page: Literal["train", "export"] = "train",
        tried: Path | None = None,
    ) -> None:
        super().__init__()
        self.fps = fps
        self.followed: RunFolder | None = open_run
        # What the Try screen talks to: a run, or weights.
        self.tried: Path | None = open_run.path if open_run else tried
        # What the Data screen shows: what was opened last, a run or data.
        self.data = str(open_run.config) if open_run else data
        # What the Config screen shows, if nothing there waits to be saved: a file, or a run's.
        self.config = config
        # Asks about what would be lost, from any screen; whether it did. The Config screen sets it.
        self.ask_first: Callable[[], bool] = lambda: False
        self._first = page
        self._page = "runs"
        self._mine: list[str] = []
        self._kept_theme = ""
        self._ascii = AsciiFilter(enabled=not shows_unicode())
        self._terminal: Terminal | None = None

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What changes a line on its way to the terminal."""
        theirs = super().get_line_filters()
        first = [StyledFilter()] if theirs else []
        return [*first, *theirs, *([self._ascii] if self._ascii.enabled else [])]

    def on_mount(self) -> None:
        self._load_themes()
        if self._driver is not None and not self.is_headless:
            self._terminal = Terminal(self, self._driver)
            self._terminal.watch()
        self.push_screen("runs")
        if self.followed is not None:
            opened = self.open_export if self._first == "export" else self.open_run
            opened(self.followed)
        elif self.tried is not None:
            self.open_try(self.tried)
        elif self.config:
            self.open_config(self.config)
        elif self.data:
            self.open_data(self.data)

    def on_key(self, event: Key) -> None:
        """A key that nobody else took."""
        take = getattr(self.focused, "take", None)  # of a line in which a person writes
        if take is not None:
            take(event)

    def open_run(self, folder: RunFolder) -> None:
        """Show a run on the Train screen."""
        self.followed, self.data, self.tried = folder, str(folder.config), folder.path
        if folder.config.is_file():
            self.config = self.data
        self.action_go("train")

    def open_export(self, folder: RunFolder) -> None:
        """Show what can be made of a run on the Export screen."""
        self.followed, self.tried = folder, folder.path
        self.action_go("export")

    def open_try(self, place: Path) -> None:
        """Talk to what a run has trained, or to weights, on the Try screen."""
        self.tried = place
        if RunFolder(place).exists():
            self.followed = RunFolder(place)
        self.action_go("try")

    def open_data(self, path: str) -> None:
        """Show a data file, or the data of a config (YAML), on the Data screen."""
        self.data = path
        self.action_go("data")

    def open_config(self, path: str) -> None:
        """Show a config on the Config screen."""
        self.config = path
        self.action_go("config")

    def action_go(self, name: str) -> None:
        """Show another screen."""
        if len(self.screen_stack) > 2:  # a dialog is open; it must be answered first
            return
        if name != self._page:
            self._page = name
            self.switch_screen(name)

    async def action_back(self) -> None:
        """To the list of runs."""
        self.action_go("runs")

    def action_next_theme(self) -> None:
        """Take the next of our themes."""
        here = self._mine.index(self.theme) if self.theme in self._mine else -1
        self.theme = self._mine[(here + 1) % len(self._mine)]
        self.notify(f"Theme: {self.theme}", timeout=2, markup=False)

    def action_help(self) -> None:
        """All keys of this screen."""
        from tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    def action_to_shell(self) -> None:
        """Give the terminal back to the shell for a while."""
        if self._terminal is not None:
            self._terminal.suspend()

    async def action_leave(self) -> None:
        """Quit; with a living run on the Train screen, ask what becomes of it."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
            return
        leave = getattr(self.screen, "leave", None)
        if not self.ask_first() and (leave is None or not leave()):
            self.exit()

    def _load_themes(self) -> None:
        themes, problems = load_themes()
        for theme in themes:
            self.register_theme(theme)
        self._mine = [theme.name for theme in themes]
        wanted = chosen_theme()
        known = wanted if wanted in self.available_themes else DEFAULT
        if known in self.available_themes:
            self.theme = known
        for problem in problems:
            self.notify(problem, severity="warning", markup=False)
        self._kept_theme = self.theme
        self.theme_changed_signal.subscribe(self, self._keep_theme)

    def _keep_theme(self, theme: Theme) -> None:
        """Remember what was chosen here; not what NO_COLOR took for this time only."""
        if theme.name != self._kept_theme:
            self._kept_theme = theme.name
            remember_theme(theme.name)


def run_app(
    open_run: RunFolder | None = None,
    fps: int = 10,
    data: str = "",
    config: str = "",
    page: Literal["train", "export"] = "train",
    tried: Path | None = None,
) -> int:
    """Show the dashboard until it is closed, on a run (its Train screen, or another `page` of it),
    on `data` (YAML or a data file), on a config to edit, or on the Try screen with the run or the
    weights that are `tried`, if one is given; returns its exit status."""
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    app = BackpropApp(open_run, fps, data, config, page, tried)
    app.run()
    return app.return_code or 0
