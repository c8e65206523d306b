"""The sample prompts with their answers before and after training."""

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from trainer_core.runs.view import RunView
from trainer_core.text import one_line


class SamplesPane(VerticalScroll):
    """Each prompt, then both answers; what changed is said by a word, not by colour alone."""

    def compose(self):  # type: ignore[no-untyped-def]
        yield Static(id="answers", markup=False)

    def show(self, view: RunView) -> None:
        """Paint what is known."""
        self.query_one("#answers", Static).update(samples_text(view))


def samples_text(view: RunView) -> Text:
    """The answers as text."""
    before, after = view.samples.get("before"), view.samples.get("after")
    known = after or before
    if known is None:
        return Text("No prompts are answered in this run (training.sample_prompts).")
    first = {answer.prompt: answer.answer for answer in before.answers} if before else {}
    last = {answer.prompt: answer.answer for answer in after.answers} if after else {}
    text = Text()
    for answer in known.answers:
        old, new = first.get(answer.prompt), last.get(answer.prompt)
        text.append(f"{one_line(answer.prompt)}\n", "bold")
        if old is not None:
            text.append("  before   ", "dim").append(f"{one_line(old) or '(nothing)'}\n")
        if new is None:
            text.append("  after    ", "dim").append("when the run ends\n")
        elif new == old:
            text.append("  same     ", "dim").append(f"{one_line(new) or '(nothing)'}\n")
        else:
            text.append("  changed  ", "green").append(f"{one_line(new) or '(nothing)'}\n", "green")
    return text
