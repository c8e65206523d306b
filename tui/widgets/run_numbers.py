"""The numbers of a run: where it is, how fast, how well. Two lines, or more where it is narrow."""

import time

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Static

from trainer_core.runs.events import Scored
from trainer_core.runs.multi_run_events import RunStart
from trainer_core.runs.view import RunView
from trainer_core.text import duration, one_line

_WITH_CLOCK = {"starting", "importing", "downloading", "loading", "planning", "answering", "saving"}
MOST_OF_NAME = 32


class RunNumbers(Static):
    """Repaints only when what it says has changed."""

    def __init__(self) -> None:
        super().__init__(id="numbers", markup=False)
        self._said = ""

    def show(self, view: RunView) -> None:
        """Paint the numbers of a run."""
        lines = [stage_line(view), step_line(view, self.size.width), loss_line(view)]
        if view.run is not None:
            lines.insert(1, run_line(view.run, view.step))
        if view.scored is not None:
            lines.append(score_line(view.scored, self.size.width))
        text = Text("\n").join(lines)
        if text.plain != self._said:
            self._said = text.plain
            self.update(text)


def stage_line(view: RunView) -> Text:
    """`importing  unsloth  7 s`, or how far a stage is."""
    line = Text(no_wrap=True, overflow="ellipsis")
    if view.outcome is not None:
        return line.append("ended", "bold")
    line.append(one_line(view.stage, limit=20) or "waiting for the worker", "bold")
    # The detail of a training in several runs is which of them it is: that is said below.
    if view.stage_detail and not (view.run is not None and view.stage == "training"):
        line.append(f"  {one_line(view.stage_detail, limit=60)}")
    if view.stage in _WITH_CLOCK:
        line.append(f"  {duration(time.time() - view.stage_since)}", "dim")
    progress = view.progress
    if progress is not None:
        total = f" of {progress.total:,}" if progress.total else ""
        rate = f", {progress.rate:,.0f} a second" if progress.rate else ""
        line.append(f"  {progress.done:,}{total} {one_line(progress.unit, limit=20)}{rate}")
    return line


def run_line(run: RunStart, step: int) -> Text:
    """`run 2 of 5 · shard 2 · step 30 of 100`, of the run that goes on, or was the last."""
    done = min(max(0, step - run.first_step), run.steps)
    where = f"run {run.run} of {run.of}"
    parts = [
        f"{one_line(run.arm)}, {where}" if run.arm else where,
        one_line(run.name, limit=MOST_OF_NAME),
        f"step {done:,} of {run.steps:,}",
    ]
    return Text(" · ".join(parts), no_wrap=True, overflow="ellipsis")


def step_line(view: RunView, width: int) -> Text:
    """The bar, step of steps, epoch, speed and time left."""
    share = view.step / view.total_steps if view.total_steps else 0.0
    length = max(6, min(30, width - 74))
    filled = round(share * length)
    line = Text("█" * filled, "green")
    line.append("░" * (length - filled), "dim")
    line.append(f" {share:4.0%}  step {view.step:,}/{view.total_steps:,}", "bold")
    line.append(f"  epoch {view.epoch:.2f}")
    if view.tokens_per_second is not None and view.outcome is None:
        line.append(f"  {view.tokens_per_second:,.0f} tok/s")
    if view.seconds_left is not None and view.outcome is None:
        line.append(f"  {duration(view.seconds_left)} left")
    return line


def loss_line(view: RunView) -> Text:
    """Loss, validation loss with the best, learning rate, gradient norm."""
    line = Text()
    for label, name, form in (
        ("loss", "loss", "{:.4f}"),
        ("eval", "eval_loss", "{:.4f}"),
        ("lr", "learning_rate", "{:.2e}"),
        ("grad", "grad_norm", "{:.2f}"),
    ):
        last = view.curve(name).last
        line.append(f"{label} ", "dim").append(form.format(last) if last is not None else "–")
        if name == "eval_loss" and view.best_eval is not None:
            line.append(f" (best {view.best_eval:.4f})")
            guessed = view.curve("eval_accuracy").last
            if guessed is not None:
                line.append(f", {guessed:.1%} guessed")
        line.append("  ")
    return line


def score_line(scored: Scored, width: int) -> Text:
    """`20 rows at step 40  exact 0.450  token_f1 0.600`, as many scores as there is room for."""
    line = Text().append(f"{scored.rows:,} rows at step {scored.step:,}", "dim")
    for name, found in scored.scores.items():
        score = f"  {one_line(name, limit=20)} ", f"{found.value:.3f}"
        if line.cell_len + cell_len("".join(score)) <= width:
            line.append(score[0], "dim").append(score[1])
    return line
