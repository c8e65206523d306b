"""What a multi-run came to, in words: for the text client and for the dashboard."""

from trainer_core.runs.multi_run_events import Forgetting, Spread
from trainer_core.runs.view import RunView

# From here on a slice is worth a warning: the model is so many times as surprised by it as it was
# just after learning it.
ALARM = 1.15
_ARMS = {"": "this multi-run", "sequential": "sequential", "joint": "joint"}


def arms(view: RunView) -> list[str]:
    """The multi-run itself and its baselines, as far as something was scored after a run."""
    return [arm for arm in _ARMS if last_scored(view, arm) is not None]


def last_scored(view: RunView, arm: str = "") -> Forgetting | None:
    """What was known last; None where nothing was scored after a run."""
    events = [event for (name, _), event in view.forgetting.items() if name == arm]
    last = max(events, key=lambda event: event.run, default=None)
    return last if last is not None and last.summaries else None


def arm_name(arm: str) -> str:
    """`this multi-run`, `sequential`, `joint`."""
    return _ARMS.get(arm, arm)


def merges(view: RunView, arm: str) -> bool:
    """Whether the merged adapter is another than the last fine-tuned one."""
    return {event.merge for (name, _), event in view.merges.items() if name == arm} != {"none"}


def summary_lines(view: RunView) -> list[str]:
    """A table with a line for each adapter of each arm, and how much the worst slice suffers; empty
    where nothing was measured."""
    table = [("", "loss", "guessed", "forgotten, nats", "backward transfer")]
    for arm in arms(view):
        last = last_scored(view, arm)
        assert last is not None  # noqa: S101 - that is what `arms` means
        states = ("merged", "fine_tuned") if merges(view, arm) else ("merged",)
        for state in states:
            kind = f", {state.replace('_', '-')}" if len(states) > 1 else ""
            table.append((f"{arm_name(arm)}{kind}", *_summary(last, state)))
    if len(table) == 1:
        return []
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    ours = last_scored(view)
    if ours is not None and ours.perplexity_ratio is not None:
        mark = "! " if ours.perplexity_ratio >= ALARM else ""
        times = f"{ours.perplexity_ratio:.2f} times"
        lines.append(f"{mark}the worst slice is {times} as surprising as just after its run")
    return lines


def spread(found: Spread, sign: str = "") -> str:
    """`0.120 (0.050 to 0.200)`; with the sign `+` of a difference."""
    # Adding zero lets no "-0.000" appear.
    value, low, high = (round(x, 3) + 0.0 for x in (found.value, found.low, found.high))
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _summary(last: Forgetting, state: str) -> tuple[str, str, str, str]:
    loss, accuracy = last.summaries[state]["loss"], last.summaries[state]["accuracy"]
    forgotten, backward = (
        spread(found) if found is not None else "-" for found in (loss.forgetting, loss.backward)
    )
    return spread(loss.average), f"{accuracy.average.value:.1%}", forgotten, backward
