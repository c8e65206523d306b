"""A list to choose one thing from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option


@dataclass(frozen=True)
class Choice:
    """A line of the list, and what is said below the list while it is under the cursor."""

    key: str
    line: Text
    details: Text = field(default_factory=Text)


class Choose(ModalScreen[str | None]):
    """The result is the key of what was chosen, None if the list was left."""

    BINDINGS = [
        Binding("escape,q", "dismiss(None)", "Cancel", tooltip="Leave everything as it is"),
        Binding("j", "move(1)", "Down", show=False, tooltip="One down"),
        Binding("k", "move(-1)", "Up", show=False, tooltip="One up"),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], chosen: str = "") -> None:
        super().__init__()
        self._title = title
        self._choices = {choice.key: choice for choice in choices}
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(self._title, markup=False)
            options = (Option(choice.line, id=key) for key, choice in self._choices.items())
            yield OptionList(*options, markup=False)
            yield Static(id="details", markup=False)

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        keys = list(self._choices)
        options.highlighted = keys.index(self._chosen) if self._chosen in keys else 0
        options.focus()
        detailed = any(choice.details for choice in self._choices.values())
        self.query_one("#details").display = detailed
        self.set_class(detailed, "-detailed")

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Say more of it."""
        self.query_one("#details", Static).update(self._choices[event.option.id or ""].details)

    def action_move(self, by: int) -> None:
        """As the arrows."""
        options = self.query_one(OptionList)
        (options.action_cursor_down if by > 0 else options.action_cursor_up)()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)
