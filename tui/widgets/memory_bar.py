"""What a run will take of the memory there is: a bar of letters, one a part, and the numbers."""

from rich.text import Text
from textual.widgets import Static

from trainer_core.planning.draft import Draft
from trainer_core.planning.fitting import MemoryPlan
from trainer_core.text import one_line, size

# The letter of each part in the bar, so that it can be read without colour.
LETTERS = {
    "weights": ("W", "on blue"),
    "adapter": ("A", "on cyan"),
    "gradients": ("G", "on magenta"),
    "optimizer": ("O", "on green"),
    "activations": ("a", "on yellow"),
    "logits": ("L", "on red"),
    "context": ("C", "on bright_black"),
}
NARROW = 12
WIDE = 40


class MemoryBar(Static):
    """Two lines: the bar with its sum, and the parts, what costs most first; or the first alone."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._draft: Draft | None = None
        self._why_not = ""

    def show(self, draft: Draft | None, why_not: str) -> None:
        """Paint a plan, or say why there is none."""
        self._draft, self._why_not = draft, why_not
        self.refresh()

    def render(self) -> Text:
        """For the room there is."""
        return memory_text(self._draft, self._why_not, self.size.width)


def memory_text(draft: Draft | None, why_not: str, width: int) -> Text:
    """The bar in two lines of `width` cells."""
    memory = draft.memory if draft is not None else None
    if draft is None or memory is None:
        problem = draft.problem if draft is not None and draft.problem else why_not
        return Text(f"memory  {one_line(problem)}", no_wrap=True, overflow="ellipsis")
    room = memory.budget - memory.total
    fits = f"{size(room)} free" if room >= 0 else f"✖ {size(-room)} too much"
    about = "about " if draft.estimated else ""
    words = (
        f" {about}{size(memory.total)} of {size(memory.budget)} {one_line(memory.device)}, {fits}"
    )
    length = max(0, min(WIDE, width - len("memory  []") - len(words)))
    line = Text("memory  ", no_wrap=True, overflow="ellipsis")
    if length >= NARROW // 2:
        line.append("[").append_text(_bar(memory, length)).append("]")
    line.append(words, "" if room >= 0 else "bold red").append("\n")
    for name, count in sorted(memory.parts.items(), key=lambda part: -part[1]):
        letter, style = _look(name)
        line.append(letter, style).append(f" {name} {size(count)}  ", "" if count else "dim")
    return line


def _bar(memory: MemoryPlan, length: int) -> Text:
    """Each part with as many letters as its share; beyond the budget nothing more is drawn."""
    bar, whole, used = Text(), max(1, memory.budget), 0
    for name, count in memory.parts.items():
        start = min(length, round(used / whole * length))
        used += count
        end = min(length, round(used / whole * length))
        letter, style = _look(name)
        bar.append(letter * (end - start), style)
    return bar.append("·" * (length - len(bar.plain)), "dim")


def _look(name: str) -> tuple[str, str]:
    return LETTERS.get(name, (name[:1], ""))
