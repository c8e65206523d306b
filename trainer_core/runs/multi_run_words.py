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
    """One line for each adapter of each arm, and a warning where one slice suffers; empty where
    nothing was measured."""
    lines = []
    for arm in arms(view):
        last = last_scored(view, arm)
        assert last is not None  # noqa: S101 - that is what `arms` means
        states = ("merged", "fine_tuned") if merges(view, arm) else ("merged",)
        for state in states:
            words = (
                f"{arm_name(arm)}, {state.replace('_', '-')}" if len(states) > 1 else arm_name(arm)
            )
            lines.append(f"{words:<26} {_summary(last, state)}")
        ratio = last.perplexity_ratio
        if not arm and ratio is not None and ratio >= ALARM:
            lines.append(f"! one slice is {ratio:.2f} times as surprising as just after its run")
    return lines


def spread(found: Spread) -> str:
    """`0.120 (0.050 to 0.200)`."""
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _summary(last: Forgetting, state: str) -> str:
    loss, accuracy = last.summaries[state]["loss"], last.summaries[state]["accuracy"]
    line = f"loss {loss.average.value:.3f}, {accuracy.average.value:.1%} guessed"
    if loss.forgetting is not None and loss.backward is not None:
        line += f", forgotten {spread(loss.forgetting)} nats, backward {spread(loss.backward)}"
    return line
