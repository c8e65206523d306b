"""What is known of each slice after each run: a heat map whose shades are characters too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from trainer_core.runs.multi_run_events import Forgetting, Score
from trainer_core.runs.view import RunView
from trainer_core.text import one_line
from tui.widgets.wrapped import wrapped

GENERAL = "general"
# The baseline that learns everything in its one run.
JOINT = "joint"
LABEL = 10
NARROWEST, WIDEST = 9, 20
_WIDE = 110
# From how much worse each shade begins: in nats, where the third is a perplexity of 1.15 times that
# before, and in shares of the tokens.
WORSE = {"loss": (0.02, 0.07, 0.14, 0.3), "accuracy": (0.005, 0.02, 0.05, 0.1)}
_SHADES = "▂▄▆█"
_STYLES = ("yellow", "red", "black on yellow", "white on red")
_BETTER = ("+", "green")


@dataclass(frozen=True)
class Shown:
    """What of the scores is looked at. `arm` is empty, or a baseline; `column` the first in
    sight."""

    arm: str = ""
    state: Literal["merged", "fine_tuned"] = "merged"
    measure: Literal["loss", "accuracy"] = "loss"
    column: int = 0


def rows_of(view: RunView, arm: str) -> list[Forgetting]:
    """The scores of an arm, first run first. A baseline begins as the multi-run itself does."""
    rows = {run: event for (name, run), event in view.forgetting.items() if name == arm}
    start = view.forgetting.get(("", 0))
    if rows and 0 not in rows and start is not None:
        rows[0] = start
    return [rows[run] for run in sorted(rows)]


def columns_in(width: int, count: int) -> tuple[int, int]:
    """How many of `count` columns fit into `width` cells, and the width of each."""
    fitting = min(count, max(1, (width - LABEL) // NARROWEST))
    return fitting, min(WIDEST, max(NARROWEST, (width - LABEL) // max(1, fitting)))


def matrix_lines(view: RunView, shown: Shown, width: int) -> list[Text]:
    """The names of the slices, a line for each run, and what the signs mean."""
    rows = rows_of(view, shown.arm)
    if not rows:
        return []
    names = rows[-1].slices
    fitting, size = columns_in(width, len(names))
    first = min(shown.column, len(names) - fitting)
    columns = range(first, first + fitting)
    short = short_names(names, size - 1)
    head = Text(" " * LABEL, "bold", no_wrap=True, overflow="crop")
    for column in columns:
        head.append(set_cell_size("", size - 1 - cell_len(short[column])) + short[column] + " ")
    lines = [head]
    for row in rows:
        undone = not shown.arm and row.run in view.undone
        label = f"{'undone' if undone else 'after'} {row.run}" if row.run else "before"
        line = Text(f"{label:<{LABEL}}", "dim" if undone else "bold", no_wrap=True, overflow="crop")
        for column in columns:
            line.append_text(_cell(rows, row, column, shown, size))
        lines.append(line)
    if fitting < len(names):
        words = f"slices {first + 1} to {first + fitting} of {len(names)}"
        more = f"{'⟨ ' if first else ''}{words}{' ⟩' if first + fitting < len(names) else ''}"
        lines.append(Text(f"{'':{LABEL}}{more}", "dim", no_wrap=True, overflow="crop"))
    return [*lines, *wrapped(_legend(shown, width), width)]


def short_names(names: Sequence[str], cells: int) -> list[str]:
    """`names` in at most `cells` cells each. Those too long lose what they have in common with each
    other first, then their middles."""
    clean = [one_line(name) for name in names]
    long = [name for name in clean if cell_len(name) > cells]
    before = _alike(long) if len(long) > 1 else 0
    after = _alike([name[before:][::-1] for name in long]) if len(long) > 1 else 0
    cut = {
        name: f"{'…' if before else ''}{name[before : len(name) - after]}{'…' if after else ''}"
        for name in long
    }
    return [_middle_cut(cut.get(name, name), cells) for name in clean]


def _alike(names: Sequence[str]) -> int:
    """How many characters all of them begin with."""
    places = zip(*names, strict=False)
    return sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, places))


def _middle_cut(name: str, cells: int) -> str:
    if cell_len(name) <= cells:
        return name
    tail = (cells - 1) // 2
    end = set_cell_size(name[::-1], tail)[::-1]
    return f"{set_cell_size(name, cells - 1 - tail)}…{end}"


def number(score: Score, measure: str) -> str:
    """`2.314`, or `41.2%`."""
    if measure == "accuracy":
        return f"{score.accuracy:.1%}"
    return f"{score.loss:.3f}" if abs(score.loss) < 10 else f"{score.loss:.2f}"


def shade(score: Score, own: Score, measure: str) -> tuple[str, str]:
    """The sign and the style of a score, compared with that just after its own run."""
    worse = score.loss - own.loss if measure == "loss" else own.accuracy - score.accuracy
    if not math.isfinite(worse):
        return " ", ""
    steps = WORSE[measure]
    if worse <= -steps[0]:
        return _BETTER
    level = sum(worse >= step for step in steps)
    return (_SHADES[level - 1], _STYLES[level - 1]) if level else (" ", "")


def _cell(rows: list[Forgetting], row: Forgetting, column: int, shown: Shown, size: int) -> Text:
    """A score in `size` cells: in brackets just after its own run, else with its shade."""
    score = _score(row, column, shown)
    if score is None:
        return Text(" " * size)
    own_run = _own_run(row, column, shown.arm)
    own = next((_score(other, column, shown) for other in rows if other.run == own_run), None)
    opening, closing, style = " ", " ", ""
    if row.run == own_run and own_run:
        opening, closing, style = "[", "]", "bold"
    elif row.run > own_run and own is not None:
        closing, style = shade(score, own, shown.measure)
    elif row.run < own_run:
        style = "dim"
    said = number(score, shown.measure)
    cell = Text(" " * max(0, size - len(said) - 3))
    return cell.append(f"{opening}{said}{closing}", style).append(" ")


def _own_run(row: Forgetting, column: int, arm: str) -> int:
    """The run that trained on a slice's rows; 0 for the general slice, which none did."""
    if row.slices[column] == GENERAL and column == len(row.slices) - 1:
        return 0
    return 1 if arm == JOINT else column + 1


def _score(row: Forgetting, column: int, shown: Shown) -> Score | None:
    scores: Sequence[Score] = row.merged if shown.state == "merged" else row.fine_tuned
    return scores[column] if column < len(scores) else None


def _legend(shown: Shown, width: int) -> Text:
    """What the signs mean, in one line of 80 cells."""
    steps, unit = WORSE[shown.measure], "nats" if shown.measure == "loss" else "points"
    scale = 1 if shown.measure == "loss" else 100
    text = Text("[ ] own run, then ", "dim")
    text.append("+", _BETTER[1]).append(" better or worse by", "dim")
    for sign, style, step in zip(_SHADES, _STYLES, steps, strict=True):
        text.append(" ").append(sign, style).append(f" {step * scale:g}", "dim")
    text.append(f" {unit}", "dim")
    return text.append("; general: since before the first run", "dim") if width >= _WIDE else text
