"""A multi-run as text: where it is, what is known of each slice, what was forgotten."""

import math

from trainer_core.runs.multi_run_events import Forgetting, Merged, RunStart, Spread
from trainer_core.runs.view import RunView
from trainer_core.text import one_line

# From here on a slice is worth a warning: the model is this many times as surprised by it as it
# was just after learning it.
ALARM = 1.15
_NAMES = {"": "this multi-run", "sequential": "sequential", "joint": "joint"}


def run_line(event: RunStart) -> str:
    """`run 2 of 5: shard 2, 100 steps at 2.0e-04, 90 rows (9 replayed)`."""
    arm = f"{event.arm}, " if event.arm else ""
    replayed = f" ({event.replayed:,} replayed)" if event.replayed else ""
    return (
        f"{arm}run {event.run} of {event.of}: {one_line(event.name)}, {event.steps:,} steps at "
        f"{event.learning_rate:.1e}, {event.rows:,} rows{replayed}"
    )


def merged_line(event: Merged) -> str:
    """`run 2 merged (slao): the adapter changed by 31 %`."""
    drift = event.drift.values()
    change = math.sqrt(sum(x**2 for x in drift) / len(drift)) if drift else None
    said = f": its layers changed by {change:.0%} on average" if change is not None else ""
    return f"run {event.run} merged ({event.merge}){said}"


def scores_line(event: Forgetting) -> str:
    """`known after run 2: shard 1 0.412, shard 2 0.398, general 0.405`, losses of the merged."""
    when = f"after run {event.run}" if event.run else "before the first run"
    cells = [
        f"{one_line(name, limit=24)} {score.loss:.3f}"
        for name, score in zip(event.slices, event.merged, strict=True)
    ]
    return f"loss {when}: {', '.join(cells)}"


def forgetting_lines(view: RunView) -> list[str]:
    """The summary of each arm, of the merged adapter and of the last fine-tuned one; empty where
    nothing was measured."""
    lines = []
    for arm, words in _NAMES.items():
        events = [event for (name, _), event in view.forgetting.items() if name == arm]
        last = max(events, key=lambda event: event.run, default=None)
        if last is None or not last.summaries:
            continue
        merges = {event.merge for (name, _), event in view.merges.items() if name == arm}
        states = ("merged", "fine_tuned") if merges != {"none"} else ("merged",)
        for state in states:
            summary = last.summaries[state]["loss"]
            accuracy = last.summaries[state]["accuracy"].average
            label = words if len(states) == 1 else f"{words}, {state.replace('_', '-')}"
            line = f"  {label:<28} loss {summary.average.value:.3f}, {accuracy.value:.1%} guessed"
            if summary.forgetting is not None and summary.backward is not None:
                line += f", forgotten {spread(summary.forgetting)} nats"
                line += f", backward {spread(summary.backward)}"
            lines.append(line)
        ratio = last.perplexity_ratio
        if not arm and ratio is not None and ratio >= ALARM:
            lines.append(f"  warning: one slice is {ratio:.2f} times as surprising as it was")
    return ["on what was held out of the runs:", *lines] if lines else []


def spread(found: Spread) -> str:
    """`0.120 (0.050 to 0.200)`."""
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
