"""What the Try screen does with its two sides: asks both the same, takes rows of the data, and lets
a person choose who answers and how."""

import secrets
from dataclasses import replace
from functools import partial
from pathlib import Path

from textual.screen import Screen
from textual.widgets import Input

from trainer_core.config.sampling import Sampling
from trainer_core.data.conversations import Turn
from trainer_core.data.questions import RowPrompt
from trainer_core.errors import UserError
from trainer_core.runs.transcripts import keep
from trainer_core.text import clean
from tui.screens.choose import Choose
from tui.try_found import Answerer, Found
from tui.try_rows import TryRows
from tui.try_side import Exchange, Prompt, Side
from tui.try_words import NOBODY, changed, model_choices, written
from tui.widgets.ask_line import AskLine
from tui.widgets.prompt_line import PromptLine

SIDES = ("left", "right")
BUSY = "An answer is still being given; esc stops it"


class TryTalk(Screen[None]):
    """A screen with two sides and a line to write in; how it looks is for the class made of it."""

    def __init__(self) -> None:
        super().__init__()
        self._place: Path | None = None
        self._found: Found | None = None
        self._sides = [Side(self.call_later, self._ended) for _ in SIDES]
        self._active = 1
        self._sampling = Sampling()
        self._conversation = ""
        self._rows: TryRows | None = None
        # The number of the row that is wanted, the row that is shown, and what would be asked.
        self._index: int | None = None
        self._row: RowPrompt | None = None
        self._draft: Prompt | None = None
        self._reading = False
        self._complaint = ""

    def paint(self) -> None:
        """Paint what has changed."""
        raise NotImplementedError

    # --- asking ----------------------------------------------------------------------------------

    @property
    def _line(self) -> PromptLine:
        return self.query_one("#prompt", PromptLine)

    @property
    def _is_busy(self) -> bool:
        return any(side.is_busy for side in self._sides)

    def action_ask(self) -> None:
        """Ask what stands in the line; write it first, if nothing does."""
        if self._line.value.strip():
            self._ask(self._line.value)
        else:
            self.action_write()

    def action_write(self) -> None:
        """Write in the line. The models are loaded meanwhile."""
        if self._found is None:
            self.notify("There is nobody to talk to yet", timeout=3)
            return
        for side in self._sides:
            side.load()
        self._line.open()

    def on_prompt_line_submitted(self, event: PromptLine.Submitted) -> None:
        """Ask what was written."""
        self._ask(event.text)

    def _ask(self, text: str) -> None:
        if not text.strip():
            return
        if all(side.model is None for side in self._sides):
            self.notify("Nobody answers on either side; m chooses who shall", severity="warning")
            return
        if self._is_busy:
            self.notify(BUSY, severity="warning", timeout=4)
            return
        prompt = self._prompt(text)
        for side in self._sides:
            side.say(prompt, self._sampling, self._conversation)
        self._close_line()
        self._line.show("")
        self.paint()

    def _prompt(self, text: str) -> Prompt:
        """What is asked with `text`: a row, in a conversation of its own, or the next turn. A row
        that was changed expects nothing."""
        draft, self._draft = self._draft, None
        if draft is None:
            self._row = None
            return Prompt(Turn("user", text))
        self.action_new()
        if text == draft.turn.content:
            return draft
        self._row = None
        turn = replace(draft.turn, content=text)
        return replace(draft, turn=turn, expected=None, where="")

    def _close_line(self) -> None:
        self._line.close()
        self.set_focus(None)

    def action_hush(self) -> None:
        """Stop the answers; what there is of them stays."""
        for side in self._sides:
            side.hush()

    def action_new(self) -> None:
        """Begin a new conversation on both sides."""
        if self._is_busy:
            self.notify(BUSY, severity="warning", timeout=4)
            return
        self._conversation = secrets.token_hex(4)
        for side in self._sides:
            side.begin_anew()
        self.paint()

    def _ended(self, exchange: Exchange) -> None:
        """Keep an answer, or what there is of it."""
        if self._found is None or (exchange.error and not exchange.said.text):
            return
        try:
            keep(self._found.run, exchange.facts())
        except OSError as error:
            self._complain(f"The transcript cannot be kept: {error.strerror}")

    def _complain(self, words: str) -> None:
        """Say what is wrong once, however often it is."""
        if words != self._complaint:
            self._complaint = words
            self.notify(clean(words), severity="error", timeout=10, markup=False)

    # --- rows of the data ------------------------------------------------------------------------

    def action_row(self, by: int) -> None:
        """Show the next row, to be asked."""
        found = self._found
        if found is None or found.run is None:
            self.notify("This lies in no run, so there is no data of it; ⏎ writes a prompt")
            return
        if self._rows is None:
            config = found.run.config
            self._rows = TryRows(config, self.call_later, partial(self._row_came, config))
        first = 0 if by > 0 else -1
        self._index = self._index + by if self._index is not None else first
        self._reading, self._complaint = self._row is None, ""
        self._rows.want(self._index)
        self.paint()

    def _row_came(self, config: Path, row: RowPrompt | None, problem: str) -> None:
        if self._found is None or self._found.run is None or self._found.run.config != config:
            return
        self._reading = False
        if row is None:
            self._complain(problem)
        else:
            *before, turn = row.turns
            self._row, self._index = row, row.index
            self._draft = Prompt(
                turn, tuple(before), tuple(row.tools), row.expected.strip(), row.where
            )
            self._line.show(turn.content)
        self.paint()

    # --- settings --------------------------------------------------------------------------------

    def action_side(self) -> None:
        """Mark the other side, where there is one."""
        if self._sides[1 - self._active].model is not None:
            self._active = 1 - self._active
            self.paint()

    def action_zoom(self) -> None:
        """The marked side alone, or both."""
        self.toggle_class("-zoom")
        self.paint()

    def action_model(self) -> None:
        """Choose who answers on the marked side, or on the one where nobody does."""
        found = self._found
        if found is None:
            return
        empty = [n for n, side in enumerate(self._sides) if side.model is None]
        number = empty[0] if empty else self._active
        side, models = self._sides[number], found.models

        def answered(key: str | None) -> None:
            if key is not None and self._place == found.place:
                self._choose(number, None if key == NOBODY else models[int(key)])

        chosen = str(models.index(side.model)) if side.model in models else NOBODY
        title = f"Who answers on the {SIDES[number]}? ⏎ takes it."
        self.app.push_screen(Choose(title, model_choices(models), chosen), answered)

    def _choose(self, number: int, model: Answerer | None) -> None:
        """Both sides begin anew, so that they stay side by side."""
        self._sides[number].choose(model)
        other = 1 - number
        self._active = number if model is not None else other
        self.action_hush()
        self._conversation = secrets.token_hex(4)
        self._sides[other].begin_anew()
        self.paint()

    def action_sampling(self) -> None:
        """Ask for the settings, in one line."""
        self.query_one("#ask", AskLine).open("name=value …", written(self._sampling))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the settings."""
        try:
            self._sampling = changed(self._sampling, event.value)
        except UserError as error:
            self.notify(clean(str(error)), severity="warning", timeout=8, markup=False)
            return
        self._close_settings()
        self.paint()

    def _close_settings(self) -> None:
        self.query_one("#ask", AskLine).close()
        self.set_focus(None)
