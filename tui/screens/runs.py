"""Runs, the home screen: every run of this user, newest first."""

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Static

from trainer_core.errors import BackpropError
from trainer_core.runs.registry import RunEntry, delete_run, list_runs
from trainer_core.text import one_line
from tui.screens.dialog import Dialog
from tui.threads import tell
from tui.widgets.ask_line import AskLine
from tui.widgets.run_row import cells
from tui.widgets.run_state import state_text
from tui.widgets.top_bar import TopBar

REFRESH_SECONDS = 1.0
TITLES = ("State", "Run", "Step", "Loss", "Curve", "Started", "Model")


class RunsScreen(Screen[None]):
    """Opens, filters and deletes runs."""

    AUTO_FOCUS = "#table"
    BINDINGS = [
        Binding("o", "open", "Open", key_display="⏎", tooltip="Watch this run, or look at it"),
        Binding("e", "export", "Export", tooltip="Make GGUF, merged weights or others of this run"),
        Binding("T", "try", "Try", tooltip="Talk to what this run trained, beside its base"),
        Binding("r", "resume", "Resume", tooltip="Go on with this run from its newest checkpoint"),
        Binding("d", "delete", "Delete", tooltip="Delete this run and its folder"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Show only some runs"),
        Binding("escape", "close_filter", "All", show=False, tooltip="Show all runs again"),
        Binding("j", "down", "Down", show=False, tooltip="One run down"),
        Binding("k", "up", "Up", show=False, tooltip="One run up"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[str, RunEntry] = {}
        self._rows: dict[str, list[str]] = {}

    def compose(self) -> ComposeResult:
        yield TopBar("runs")
        yield AskLine("part of a run's name or state")
        yield Static("No runs yet. Start one: backprop demo", id="none", classes="empty")
        yield DataTable(id="table", cursor_type="row")
        yield Footer()

    def on_mount(self) -> None:
        table = self._table
        table.display = False
        self.set_interval(REFRESH_SECONDS, self._read)
        self._read()

    def on_screen_resume(self) -> None:
        self._read()

    @property
    def _table(self) -> DataTable[Text]:
        return self.query_one("#table", DataTable)

    @work(thread=True, exclusive=True, group="runs")
    def _read(self) -> None:
        entries = {str(entry.folder.path): entry for entry in list_runs()}
        rows = {key: cells(entry) for key, entry in entries.items()}
        tell(self, self._show, entries, rows)

    def _show(self, entries: dict[str, RunEntry], rows: dict[str, list[str]]) -> None:
        wanted = self.query_one(AskLine).value.lower()
        rows = {key: row for key, row in rows.items() if wanted in " ".join(row).lower()}
        before, self._entries = self._states(), entries
        none, table = self.query_one("#none", Static), self._table
        none.display = not rows
        table.display = bool(rows)
        if not rows:
            none.update(
                "No run fits the filter" if entries else "No runs yet. Start one: backprop demo"
            )
        if list(rows) == list(self._rows) and _widths(rows) == _widths(self._rows):
            self._update(rows)
        else:
            self._rebuild(rows)
        if self._states() != before:
            self.refresh_bindings()
        self._rows = rows

    def _states(self) -> list[str]:
        return [entry.state for entry in self._entries.values()]

    def _rebuild(self, rows: dict[str, list[str]]) -> None:
        table = self._table
        chosen = self._chosen_key()
        table.clear(columns=True)
        # Widths that the table finds itself come after a cell may have been drawn, and cut it off.
        for title, width in zip(TITLES, _widths(rows), strict=True):
            table.add_column(title, key=title, width=width)
        for key, row in rows.items():
            table.add_row(*_drawn(row), key=key)
        if chosen in rows:
            table.move_cursor(row=list(rows).index(chosen))
        if self.focused is None:
            table.focus()

    def _update(self, rows: dict[str, list[str]]) -> None:
        for key, row in rows.items():
            for title, cell, new, old in zip(
                TITLES, _drawn(row), row, self._rows[key], strict=True
            ):
                if new != old:
                    self._table.update_cell(key, title, cell)

    def _chosen_key(self) -> str:
        table = self._table
        if not table.row_count or not table.is_valid_row_index(table.cursor_row):
            return ""
        return str(list(table.rows)[table.cursor_row].value)

    def _chosen(self) -> RunEntry | None:
        return self._entries.get(self._chosen_key())

    def on_data_table_row_selected(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        """Show the run under the cursor."""
        entry = self._chosen()
        if entry is not None:
            self.app.open_run(entry.folder)  # type: ignore[attr-defined]

    def action_export(self) -> None:
        """Show what can be made of the run under the cursor."""
        entry = self._chosen()
        if entry is not None:
            self.app.open_export(entry.folder)  # type: ignore[attr-defined]

    def action_try(self) -> None:
        """Talk to what the run under the cursor has trained."""
        entry = self._chosen()
        if entry is not None:
            self.app.open_try(entry.folder.path)  # type: ignore[attr-defined]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key has a meaning for the run under the cursor."""
        if action == "resume":
            entry = self._chosen()
            return (
                entry is not None
                and entry.status.job == "train"
                and entry.state in {"stopped", "failed", "died"}
            )
        return super().check_action(action, parameters)

    def on_data_table_row_highlighted(self) -> None:
        """Another run is under the cursor."""
        self.refresh_bindings()

    def action_resume(self) -> None:
        """Ask, then go on with the run under the cursor and show it."""
        from tui.screens.resuming import ask_to_resume

        entry = self._chosen()
        if entry is not None:
            folder = entry.folder
            ask_to_resume(self, folder, lambda: self.app.open_run(folder))  # type: ignore[attr-defined]

    def action_down(self) -> None:
        """As the arrow."""
        self._table.action_cursor_down()

    def action_up(self) -> None:
        """As the arrow."""
        self._table.action_cursor_up()

    def action_delete(self) -> None:
        """Ask, then delete the run under the cursor."""
        entry = self._chosen()
        if entry is None:
            self.notify("There is no run to delete")
            return
        question = (
            f"Delete {one_line(entry.id)} and everything in\n{one_line(str(entry.folder.path))}?"
        )

        def answered(answer: str | None) -> None:
            if answer == "delete":
                self._delete(entry)

        answers = {"keep": "Keep it", "delete": "Delete it"}
        self.app.push_screen(Dialog(question, answers), answered)

    def _delete(self, entry: RunEntry) -> None:
        try:
            delete_run(entry)
        except BackpropError as error:
            self.notify(str(error), severity="error", markup=False)
        self._read()

    def action_filter(self) -> None:
        """Ask which runs to show."""
        line = self.query_one(AskLine)
        line.open(value=line.value)

    def action_close_filter(self) -> None:
        """Show every run again."""
        self.query_one(AskLine).close()
        self._table.focus()

    def on_input_changed(self) -> None:
        self._read()

    def on_input_submitted(self) -> None:
        self._table.focus()


def _drawn(row: list[str]) -> list[Text]:
    return [state_text(row[0]), *(Text(cell) for cell in row[1:])]


def _widths(rows: dict[str, list[str]]) -> list[int]:
    """The width of each column, in terminal cells."""
    columns = zip(map(Text, TITLES), *map(_drawn, rows.values()), strict=True)
    return [max(cell.cell_len for cell in column) for column in columns]
