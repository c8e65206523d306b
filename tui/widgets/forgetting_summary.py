"""What a multi-run and its baselines forgot, in sums: a line for each, and one in words."""

from rich.text import Text

from trainer_core.runs.multi_run_events import Forgetting, Spread
from trainer_core.runs.multi_run_words import ALARM, merges
from trainer_core.runs.view import RunView
from trainer_core.text import one_line
from tui.widgets.forgetting_matrix import Shown, rows_of
from tui.widgets.wrapped import wrapped

STATES = {"merged": "merged", "fine_tuned": "fine-tuned"}
_LABEL = 12
_WIDE = 90


def arms_of(view: RunView) -> list[str]:
    """The multi-run itself and its baselines, as far as they were scored."""
    return list(dict.fromkeys(["", *(arm for arm, _ in view.forgetting)]))


def newest(view: RunView, arm: str) -> Forgetting | None:
    """The newest scores of an arm that stand, after its first run at the earliest."""
    rows = [row for row in rows_of(view, arm) if row.run and (arm or row.run not in view.undone)]
    return rows[-1] if rows else None


def summary_lines(view: RunView, shown: Shown, width: int) -> list[Text]:
    """The table, what is shown above in words, and how surprised the models are at worst."""
    table = [
        line
        for arm in arms_of(view)
        for state in (STATES if merges(view, arm) else ("merged",))
        if (line := _line(view, arm, state, shown, width)) is not None
    ]
    if not table:
        return []
    return [_head(shown, width), *table, *_in_words(view, shown, width), *_ratios(view, width)]


def spread_words(spread: Spread, scale: float = 1.0, digits: int = 3) -> str:
    """`0.120 (0.050 to 0.200)`."""
    numbers = (spread.value, spread.low, spread.high)
    # Adding zero lets no "-0.000" appear.
    value, low, high = (f"{round(x * scale, digits) + 0.0:.{digits}f}" for x in numbers)
    return f"{value} ({low} to {high})"


def arm_words(view: RunView, arm: str, state: str) -> str:
    """`merged`, `fine-tuned`, `sequential`, `joint`."""
    if arm:
        return one_line(arm, limit=_LABEL - 1)
    return STATES[state] if merges(view, arm) else "multi-run"


def _sizes(width: int) -> tuple[int, tuple[int, int]]:
    """The digits of a number, and the widths of the first two columns."""
    return (3, (25, 28)) if width >= _WIDE else (2, (21, 23))


def _head(shown: Shown, width: int) -> Text:
    _, sizes = _sizes(width)
    loss = shown.measure == "loss"
    titles = ("loss", "backward transfer") if loss else ("guessed right, %", "backward transfer")
    head = "".join(f"{title:<{size}}" for title, size in zip(titles, sizes, strict=True))
    last = "forgotten, nats" if loss else "forgotten, points"
    return Text(f"{'':{_LABEL}}{head}{last}", "bold", no_wrap=True, overflow="ellipsis")


def _line(view: RunView, arm: str, state: str, shown: Shown, width: int) -> Text | None:
    event = newest(view, arm)
    summary = event.summaries.get(state, {}).get(shown.measure) if event is not None else None
    if summary is None:
        return None
    digits, sizes = _sizes(width)
    scale = 1.0
    if shown.measure == "accuracy":
        digits, scale = 1, 100.0
    cells = [
        spread_words(spread, scale, digits) if spread is not None else "–"
        for spread in (summary.average, summary.backward, summary.forgetting)
    ]
    here = arm == shown.arm and (state == shown.state or not merges(view, arm))
    line = Text(no_wrap=True, overflow="ellipsis", style="bold" if here else "")
    line.append(f"{'▸' if here else ' '}{arm_words(view, arm, state):<{_LABEL - 1}}")
    return line.append(
        "".join(f"{cell:<{size}}" for cell, size in zip(cells, (*sizes, 0), strict=True))
    )


def _in_words(view: RunView, shown: Shown, width: int) -> list[Text]:
    event = newest(view, shown.arm)
    summary = event.summaries.get(shown.state, {}).get(shown.measure) if event else None
    if summary is None or summary.forgetting is None:
        return []
    spread, loss = summary.forgetting, shown.measure == "loss"
    said = spread_words(spread, 1.0 if loss else 100.0, 2 if loss else 1).replace(
        " (", " nats (" if loss else " points ("
    )
    chance = ", no more than chance" if spread.low <= 0 <= spread.high else ""
    who = arm_words(view, shown.arm, shown.state)
    return wrapped(Text(f"{who}: forgotten {said} since it was known best{chance}"), width)


def _ratios(view: RunView, width: int) -> list[Text]:
    text = Text()
    for arm in arms_of(view):
        event = newest(view, arm)
        if event is None or event.perplexity_ratio is None:
            continue
        ratio = event.perplexity_ratio
        words = f"{arm_words(view, arm, 'merged')} {ratio:.2f}"
        text.append("   ").append(f"! {words}" if ratio >= ALARM else words, _alarm(ratio))
    if not text.plain:
        return []
    head = Text("worst perplexity ratio").append_text(text)
    return wrapped(head.append(f"   (! from {ALARM:g} on)", "dim"), width)


def _alarm(ratio: float) -> str:
    return "bold yellow" if ratio >= ALARM else ""
