"""The sample prompts: what the base says beside what the model says now, with what changed."""

from difflib import SequenceMatcher

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from trainer_core.runs.events import Samples
from trainer_core.runs.view import RunView
from trainer_core.text import one_line

# From here on the two answers have room side by side.
WIDE = 100
# Words of an answer that the base's has not; to be seen without colour too.
NEW = "bold underline"
_NOTHING = "(nothing)"


class SamplesPane(VerticalScroll):
    """Each prompt, then both answers; what changed is said by a word, not by colour alone."""

    def compose(self):  # type: ignore[no-untyped-def]
        yield Static(id="answers", markup=False)

    def show(self, view: RunView) -> None:
        """Paint what is known."""
        self.query_one("#answers", Static).update(answers(view, self.app.size.width))


def answers(view: RunView, width: int) -> RenderableType:
    """The answers, side by side where `width` (columns) allows it."""
    before, now = view.samples.get("before"), latest(view)
    known = now or before
    if known is None:
        return Text("No prompts are answered in this run (training.sample_prompts).")
    first = {answer.prompt: answer.answer for answer in before.answers} if before else {}
    last = {answer.prompt: answer.answer for answer in now.answers} if now else {}
    started, reached = start_name(view), f"step {now.step:,}" if now else "later"
    parts: list[RenderableType] = []
    for answer in known.answers:
        old, new = first.get(answer.prompt), last.get(answer.prompt)
        head = Text(one_line(answer.prompt), "bold")
        head.append(f"  {_what_became(old, new)}", "green" if old != new and new else "dim")
        said = Text("answered later", "dim") if new is None else marked(old, new)
        grid = Table.grid(padding=(0, 0, 0, 2), pad_edge=True)
        if width >= WIDE:
            grid.add_column(width=width // 2 - 6)
            grid.add_column(width=width // 2 - 6)
            grid.add_row(Text(started, "dim"), Text(reached, "dim"))
            grid.add_row(Text(_shown(old)), said)
        else:
            grid.add_row(Text(started, "dim"), Text(_shown(old)))
            grid.add_row(Text(reached, "dim"), said)
        parts += [head, grid]
    return Group(*parts)


def latest(view: RunView) -> Samples | None:
    """What was answered last since training began."""
    found = [view.samples[when] for when in ("during", "after") if when in view.samples]
    return max(found, key=lambda event: event.time, default=None)


def start_name(view: RunView) -> str:
    """What answered before the first step: the base, or what the training goes on with."""
    values = view.plan.values if view.plan is not None else {}
    return "start" if values.get("lora.adapter") else "base"


def marked(old: str | None, new: str) -> Text:
    """The new answer, its words that the old one has not in their place marked."""
    words = one_line(new).split()
    if not words:
        return Text(_NOTHING)
    if old is None:
        return Text(" ".join(words))
    text = Text()
    before = one_line(old).split()
    for what, _, _, start, end in SequenceMatcher(None, before, words, False).get_opcodes():
        if end > start:
            text.append(" " if text.plain else "")
            text.append(" ".join(words[start:end]), "" if what == "equal" else NEW)
    return text


def _what_became(old: str | None, new: str | None) -> str:
    if new is None:
        return ""
    return "same" if old == new else "changed"


def _shown(text: str | None) -> str:
    return "–" if text is None else one_line(text) or _NOTHING
