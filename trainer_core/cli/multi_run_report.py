"""A multi-run as text: where it is, what is known of each slice, what was forgotten."""

import math

from trainer_core.runs.multi_run_events import Forgetting, Merged, RunStart
from trainer_core.runs.multi_run_words import summary_lines
from trainer_core.runs.view import RunView
from trainer_core.text import one_line


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
    """The summary of each arm; empty where nothing was measured."""
    lines = summary_lines(view)
    return ["on what was held out of the runs:", *(f"  {line}" for line in lines)] if lines else []
