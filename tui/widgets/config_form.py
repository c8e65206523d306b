"""A config as a form: sections that open and close, fields whose values are typed or chosen."""

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.message import Message
from textual.widgets import Input

from trainer_core.config.fields_list import section_docs
from trainer_core.config.form import FormField, entry_of
from trainer_core.text import clean
from tui.config_rows import FormRow, form_rows, mistakes_at
from tui.config_session import ConfigSession
from tui.screens.choose import Choice, Choose
from tui.widgets.ask_line import AskLine
from tui.widgets.form_rows import FormRows

FIRST = "model.base"


class FieldEntry(AskLine):
    """The line in which a value is typed, in the place of the value."""


class ConfigForm(Container):
    """Shows a session, and says what a person enters; it changes nothing itself."""

    BINDINGS = [
        Binding(
            "enter", "edit", "Edit", key_display="⏎", tooltip="Change the field; open a section"
        ),
        Binding("space,right", "cycle(1)", show=False, tooltip="The next choice; open a section"),
        Binding("left", "cycle(-1)", show=False, tooltip="The choice before; close a section"),
        Binding("d,delete", "reset", show=False, key_display="d", tooltip="Back to the default"),
        Binding("j,down", "move(1)", show=False, tooltip="One field down"),
        Binding("k,up", "move(-1)", show=False, tooltip="One field up"),
        Binding("J", "section(1)", show=False, tooltip="To the next section"),
        Binding("K", "section(-1)", show=False, tooltip="To the section before"),
        Binding("pagedown", "page(1)", show=False, tooltip="A page down"),
        Binding("pageup", "page(-1)", show=False, tooltip="A page up"),
        Binding("g,home", "move(-10000)", show=False, tooltip="To the first field"),
        Binding("G,end", "move(10000)", show=False, tooltip="To the last field"),
    ]

    class Entered(Message):
        """A person entered something for a field; nothing at all means its default."""

        def __init__(self, field: FormField, entry: str) -> None:
            super().__init__()
            self.field = field
            self.entry = entry

    class PresetsWanted(Message):
        """The list of presets is wanted."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._session: ConfigSession | None = None
        self._folded: set[str] = set()
        self._wanted = ""
        self._entering: FormField | None = None
        self._shown_entry = ""

    def compose(self) -> ComposeResult:
        yield FormRows(id="rows")
        yield FieldEntry(id="entry")

    # --- showing ---------------------------------------------------------------------------------

    @property
    def row(self) -> FormRow | None:
        """The row under the cursor."""
        return self._rows.row

    @property
    def is_entering(self) -> bool:
        """Whether a value is being typed."""
        return self._entering is not None

    @property
    def is_filtered(self) -> bool:
        """Whether only some fields are shown."""
        return bool(self._wanted)

    def open(self, session: ConfigSession) -> None:
        """Show another config, with those sections open that it sets something in."""
        given = session.checked.file.data
        self._folded = {name for name in section_docs() if not given.get(name)} - {"model", "data"}
        self._wanted = ""
        self.show(session)
        self._rows.go(FIRST)

    def show(self, session: ConfigSession) -> None:
        """Show the config as it is now."""
        self._session = session
        self._rows.show(form_rows(session, self._folded, self._wanted))

    def filter(self, wanted: str) -> None:
        """Show only the fields that have `wanted` in their name or description; all for nothing."""
        self._wanted = wanted
        if self.row is not None:
            self._unfold(self.row.key)
        self._repaint()
        if wanted:
            self._rows.move_to(lambda row: row.field is not None, 1)
        self.call_after_refresh(self._rows.show_cursor)

    def go(self, name: str) -> None:
        """Put the cursor on a field; its section is opened."""
        if name and not self._rows.has(name):
            self._unfold(name)
            self._repaint()
        self._rows.go(name)

    def next_mistake(self) -> bool:
        """Put the cursor on the next field that is wrong; False if there is none."""
        if self._session is None:
            return False
        self._wanted = ""
        self._folded -= {name.partition(".")[0] for name in mistakes_at(self._session)}
        self._repaint()
        return self._rows.move_to(lambda row: bool(row.mistakes), 1)

    def take_focus(self) -> None:
        """Let the keys be those of the form."""
        self.screen.set_focus(self._rows)

    @property
    def _rows(self) -> FormRows:
        return self.query_one(FormRows)

    def _unfold(self, name: str) -> None:
        section, dot, _ = name.partition(".")
        if dot:
            self._folded.discard(section)

    def _repaint(self) -> None:
        if self._session is not None:
            self.show(self._session)

    # --- moving ----------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Some fields on or back."""
        self._rows.move(by)

    def action_page(self, by: int) -> None:
        """A page on or back."""
        self._rows.move(by * max(1, self._rows.size.height - 2))

    def action_section(self, by: int) -> None:
        """To the heading of another section."""
        self._rows.move_to(lambda row: row.field is None and row.key != "", by)

    # --- entering --------------------------------------------------------------------------------

    def action_edit(self) -> None:
        """Type a value or choose one; open or close a section."""
        row = self.row
        if row is None:
            return
        if row.field is None:
            self._folded ^= {row.key}
            self._repaint()
        elif row.key == "preset":
            self.post_message(self.PresetsWanted())
        elif row.field.choices:
            self._choose(row.field)
        else:
            self._type(row.field)

    def action_cycle(self, by: int) -> None:
        """The next choice of a field that has some; a section opens or closes."""
        row = self.row
        if row is None:
            return
        if row.field is None:
            if (by > 0) == row.closed:
                self.action_edit()
        elif row.field.choices:
            choices, now = row.field.choices, self._value(row.field)
            place = choices.index(now) + by if now in choices else min(0, by)
            self.post_message(self.Entered(row.field, choices[place % len(choices)]))

    def action_reset(self) -> None:
        """Back to the default."""
        row = self.row
        if row is not None and row.field is not None:
            self.post_message(self.Entered(row.field, ""))

    def close_entry(self) -> None:
        """Type no more."""
        self._entering = None
        self.query_one(FieldEntry).close()
        self.take_focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """What was typed; if it is what stood there, nothing was meant."""
        event.stop()
        field, entry = self._entering, event.value
        if field is not None and entry != self._shown_entry:
            self.post_message(self.Entered(field, entry))
        self.close_entry()

    def on_form_rows_clicked(self) -> None:
        """As the key."""
        self.action_edit()

    def on_resize(self) -> None:
        """The value has moved."""
        if self.is_entering:
            self.call_after_refresh(self._place_entry)

    def _choose(self, field: FormField) -> None:
        def answered(choice: str | None) -> None:
            if choice is not None:
                self.post_message(self.Entered(field, choice))

        choices = [Choice(choice, Text(choice)) for choice in field.choices]
        self.app.push_screen(Choose(field.name, choices, self._value(field)), answered)

    def _type(self, field: FormField) -> None:
        self._entering = field
        self._shown_entry = clean(self._value(field))
        self._rows.go(field.name)
        self._place_entry()
        self.query_one(FieldEntry).open(field.doc.takes, self._shown_entry)

    def _place_entry(self) -> None:
        region, entry = self._rows.value_region(), self.query_one(FieldEntry)
        entry.styles.offset = (region.x + self._rows.gutter.left, region.y)
        entry.styles.width = region.width

    def _value(self, field: FormField) -> str:
        """What stands there now; nothing where the default is none."""
        row = self.row
        value = row.value if row is not None and row.origin == "preset" else ""
        if self._session is not None and self._session.value(field) is not None:
            value = entry_of(self._session.value(field))
        elif not value:
            value = (field.doc.default or "").strip('"')
        return "" if value == "not set" else value
