"""Forgetting: what a multi-run still knows of what it learnt run by run."""

from dataclasses import replace
from typing import Literal

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from trainer_core.runs.multi_run_words import merges
from trainer_core.runs.view import RunView
from trainer_core.text import one_line
from tui.widgets.forgetting_drift import drift_lines, standing_merges
from tui.widgets.forgetting_matrix import Shown, columns_in, matrix_lines, rows_of
from tui.widgets.forgetting_summary import arms_of, summary_lines

NOTHING = (
    "Nothing is scored yet. Every slice is scored before the first run and after each; where "
    "multi_run.eval_rows is 0, nothing is measured."
)


class ForgettingView(Vertical, can_focus=True):
    """The matrix, its summary and the drift of a run. Repaints only when something changed."""

    BINDINGS = [
        Binding("m", "state", "Merged", show=False, tooltip="Merged, or last fine-tuned"),
        Binding("a", "measure", "Accuracy", show=False, tooltip="Loss, or tokens guessed right"),
        Binding("b", "arm", "Baselines", show=False, tooltip="The multi-run, or a baseline"),
        Binding("right", "columns(1)", "Right", show=False, tooltip="The slices to the right"),
        Binding("left", "columns(-1)", "Left", show=False, tooltip="The slices to the left"),
        Binding("down,j", "scroll(1)", "Down", show=False, tooltip="Scroll down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, tooltip="Scroll up"),
        Binding("pagedown,space", "scroll(0, 1)", show=False, tooltip="Scroll a page down"),
        Binding("pageup", "scroll(0, -1)", show=False, tooltip="Scroll a page up"),
    ]

    def __init__(self) -> None:
        super().__init__(id="forgetting")
        self._view = RunView()
        self._shown = Shown()
        self._painted: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="known", can_focus=False):
            yield Static(id="matrix", markup=False)
        yield Static(id="ways", markup=False)

    def on_resize(self) -> None:
        self._paint()

    def show(self, view: RunView) -> None:
        """Paint what is known of a run."""
        if view is not self._view:
            self._view, self._shown, self._painted = view, Shown(), ()
        self._paint()

    # --- what is looked at -----------------------------------------------------------------------

    def action_state(self) -> None:
        """Merged, or last fine-tuned."""
        if merges(self._view, self._shown.arm):
            states: dict[str, Literal["merged", "fine_tuned"]]
            states = {"merged": "fine_tuned", "fine_tuned": "merged"}
            self._look(replace(self._shown, state=states[self._shown.state]))

    def action_measure(self) -> None:
        """Loss, or the share of tokens guessed right."""
        measure: Literal["loss", "accuracy"]
        measure = "accuracy" if self._shown.measure == "loss" else "loss"
        self._look(replace(self._shown, measure=measure))

    def action_arm(self) -> None:
        """The next of the multi-run itself and its baselines."""
        self._look(replace(self._shown, arm=self._next_arm(), state="merged"))

    def action_columns(self, by: int) -> None:
        """Move to other slices."""
        last = self._hidden_columns()
        self._look(replace(self._shown, column=min(last, max(0, self._shown.column + by))))

    def action_scroll(self, lines: int, pages: int = 0) -> None:
        """Scroll by lines, or by pages."""
        known = self.query_one("#known", VerticalScroll)
        known.scroll_relative(y=lines + pages * max(1, known.size.height - 1), animate=False)

    # --- painting --------------------------------------------------------------------------------

    def _look(self, shown: Shown) -> None:
        self._shown = shown
        self._paint()

    def _paint(self) -> None:
        view, width = self._view, self.query_one("#known").scrollable_content_region.width
        scores, merged = view.forgetting.values(), view.merges.values()
        state = (
            *(width, self._shown, frozenset(view.undone)),
            *(tuple(event.n for event in scores), tuple(event.n for event in merged)),
        )
        if width < 1 or state == self._painted:
            return
        self._painted = state
        self.query_one("#matrix", Static).update(forgetting_text(view, self._shown, width))
        self.query_one("#ways", Static).update(self._ways())

    def _ways(self) -> Text:
        """What can be done here, and by which key."""
        other = "fine-tuned" if self._shown.state == "merged" else "merged"
        ways = [("m", other)] if merges(self._view, self._shown.arm) else []
        ways.append(("a", "accuracy" if self._shown.measure == "loss" else "loss"))
        if len(arms_of(self._view)) > 1:
            ways.append(("b", _name(self._next_arm())))
        if self._hidden_columns():
            ways.append(("left right", "slices"))
        standing = standing_merges(self._view)
        if len(standing) > 1:
            ways.append(("U", f"undo merge {standing[-1]}"))
        text = Text(no_wrap=True, overflow="ellipsis")
        for key, words in [*ways, ("j k", "more"), ("f", "back")]:
            text.append("  " if text else "").append(key, "bold").append(f" {words}")
        return text

    def _next_arm(self) -> str:
        arms = arms_of(self._view)
        return arms[(arms.index(self._shown.arm) + 1) % len(arms)]

    def _hidden_columns(self) -> int:
        rows = rows_of(self._view, self._shown.arm)
        count = len(rows[-1].slices) if rows else 0
        width = self.query_one("#known").scrollable_content_region.width
        return count - columns_in(width, count)[0]


def forgetting_text(view: RunView, shown: Shown, width: int) -> Text:
    """All of it in lines of at most `width` cells."""
    lines = [_title(view, shown)]
    if rows_of(view, shown.arm):
        lines += matrix_lines(view, shown, width)
    else:
        lines.append(Text(NOTHING))
    for part in (summary_lines(view, shown, width), drift_lines(view, shown.arm, width)):
        lines += part
    return Text("\n").join(lines)


def _title(view: RunView, shown: Shown) -> Text:
    what = "loss" if shown.measure == "loss" else "tokens guessed right"
    state = "merged" if shown.state == "merged" else "last fine-tuned"
    parts = [_name(shown.arm), what, *([state] if merges(view, shown.arm) else [])]
    return Text(f"Forgetting: {', '.join(parts)}", "bold", no_wrap=True, overflow="ellipsis")


def _name(arm: str) -> str:
    return one_line(arm, limit=16) or "the multi-run"
