"""A question with a few answers, the safe one first."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from trainer_core.text import clean


class Dialog(ModalScreen[str | None]):
    """Asks `question`; the result is the key of the answer chosen, None if it was left."""

    BINDINGS = [
        Binding("escape,q", "dismiss(None)", "Cancel", tooltip="Leave everything as it is"),
    ]

    def __init__(self, question: str, answers: dict[str, str]) -> None:
        super().__init__()
        self._question = clean(question)
        self._answers = answers

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(self._question, markup=False)
            yield OptionList(
                *(Option(text, id=key) for key, text in self._answers.items()), markup=False
            )

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)
