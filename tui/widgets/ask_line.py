"""One line in which a person answers: out of sight, and deaf to keys, until it is opened."""

from textual.events import Key
from textual.widgets import Input


class AskLine(Input):
    """An input that a key opens and closes."""

    DEFAULT_CSS = """
    AskLine { display: none; background: $surface; }
    AskLine.-open { display: block; }
    """

    def __init__(self, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(
            placeholder=placeholder, id=id, disabled=True, max_length=1000, compact=True
        )

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return not self.disabled

    def open(self, placeholder: str = "", value: str = "") -> None:
        """Ask."""
        self.placeholder = placeholder or self.placeholder
        self.value = value
        self.action_select_all()  # what is typed replaces it
        self.disabled = False
        self.add_class("-open")
        self.screen.set_focus(self)  # at once; focus() waits, and the next keys are ours

    def take(self, event: Key) -> None:
        """Take a key that came before the focus was here: typed right after the one that opened the
        line, and over a slow connection in the same packet."""
        if event.is_printable and event.character is not None:
            event.prevent_default()
            self.replace(event.character, *sorted(self.selection))

    def close(self) -> None:
        """Ask no more."""
        self.value = ""
        self.disabled = True
        self.remove_class("-open")
