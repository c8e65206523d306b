"""Where a prompt is written: some lines that grow with it, deaf to keys until they are opened."""

from rich.text import Text
from textual.events import Key
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from trainer_core.text import visible


class PromptLine(TextArea):
    """Enter submits, ctrl+j begins a new line. What was shown and not changed is submitted as it
    was given, though a screen can show less."""

    DEFAULT_CSS = """
    PromptLine { height: auto; max-height: 8; padding: 0 1; background: $surface; }
    PromptLine:disabled { opacity: 100%; }
    PromptLine .text-area--cursor-line { background: $surface; }
    """

    class Submitted(Message):
        """A prompt is to be asked."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, placeholder: str, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, placeholder=placeholder, disabled=True)
        self._given = self._shown = ""

    @property
    def value(self) -> str:
        """The prompt."""
        return self._given if self.text == self._shown else self.text

    @property
    def is_open(self) -> bool:
        """Whether it takes keys."""
        return not self.disabled

    def show(self, text: str) -> None:
        """Show a prompt, as it could be asked."""
        self.load_text(text)
        self._given, self._shown = text, self.text
        self.move_cursor(self.document.end)

    def open(self) -> None:
        """Let it be written."""
        self.disabled = False
        self.screen.set_focus(self)  # at once; focus() waits, and the next keys are ours

    def close(self) -> None:
        """Take no more keys; what is written stays."""
        self.disabled = True

    def take(self, event: Key) -> None:
        """Take a key, also one that came before the focus was here."""
        if event.key == "enter":
            self.post_message(self.Submitted(self.value))
        elif event.key == "ctrl+j":
            self.insert("\n")
        elif event.is_printable and event.character is not None:
            self.insert(event.character)
        else:
            return
        event.prevent_default()
        event.stop()

    def on_key(self, event: Key) -> None:
        """Enter and ctrl+j mean something else than in other texts."""
        if event.key in {"enter", "ctrl+j"}:
            self.take(event)

    def render_line(self, y: int) -> Strip:
        """Nothing where there is no room: the placeholder cannot be broken into that."""
        if self.content_size.width < 1:
            return Strip.blank(self.size.width, self.rich_style)
        return super().render_line(y)

    def get_line(self, line_index: int) -> Text:
        """A line as it may be shown."""
        return Text(visible(self.document.get_line(line_index)), end="", no_wrap=True)
