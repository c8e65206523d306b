"""A multi-run as text: where it is, what is known of each slice, what was forgotten."""

import math

from trainer_core.runs.multi_run_events import Forgetting, Merged, RunStart
from trainer_core.runs.multi_run_words import summary_lines
from trainer_core.runs.view import RunView
from trainer_core.text import one_line


def run_line(event: RunStart) -> str:
    """`run 2 of 5: shard 2, 100 steps at 2.0e-04, 90 rows (9 replayed)`."""
    replayed = f" ({event.replayed:,} replayed)" if event.replayed else ""
    return (
        f"{_run(event)} of {event.of}: {one_line(event.name)}, {event.steps:,} steps at "
        f"{event.learning_rate:.1e}, {event.rows:,} rows{replayed}"
    )


def merged_line(event: Merged) -> str:
    """`run 2 merged (slao): its layers changed by 31% on average`."""
    drift = event.drift.values()
    change = math.sqrt(sum(x**2 for x in drift) / len(drift)) if drift else None
    said = f": its layers changed by {change:.0%} on average" if change is not None else ""
    what = "trained, nothing to merge" if event.merge == "none" else f"merged ({event.merge})"
    return f"{_run(event)} {what}{said}"


def scores_line(event: Forgetting) -> str:
    """`loss after run 2: shard 1 0.412, shard 2 0.398, general 0.405`, of the merged adapter."""
    when = f"after {_run(event)}" if event.run else "before the first run"
    cells = [
        f"{one_line(name, limit=24)} {score.loss:.3f}"
        for name, score in zip(event.slices, event.merged, strict=True)
    ]
    return f"loss {when}: {', '.join(cells)}"


def forgetting_lines(view: RunView) -> list[str]:
    """The summary of each arm; empty where nothing was measured."""
    lines = summary_lines(view)
    return (
        [
            "on what was held out of the runs (with 95 % intervals):",
            *(f"  {line}" for line in lines),
        ]
        if lines
        else []
    )


def _run(event: RunStart | Merged | Forgetting) -> str:
    """`run 2`, or of a baseline `sequential run 2`."""
    return f"{event.arm} run {event.run}".lstrip()
