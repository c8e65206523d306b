"""The plan with its reasons: each value that was decided here, and why."""

from rich.text import Text

from trainer_core.config.form import entry_of
from trainer_core.planning.draft import Draft
from trainer_core.text import one_line
from tui.widgets.lines import Lines
from tui.widgets.wrapped import wrapped

NAME = 32
VALUE = 16
NARROW = 70


class PlanPane(Lines, can_focus=True):
    """Stays where it is scrolled to when the plan changes."""

    def show_plan(
        self, draft: Draft | None, about: str, notes: tuple[str, ...], why_not: str
    ) -> None:
        """Show a plan; `about` says what it was made from, `notes` are sentences to go with it."""
        self._make = lambda width: plan_lines(draft, about, notes, why_not, width)
        if self._make(self._width) != self._lines:
            self._width = 0
            self._remake()


def plan_lines(
    draft: Draft | None, about: str, notes: tuple[str, ...], why_not: str, width: int
) -> list[Text]:
    """The steps, warnings, and what was planned, in lines of `width` cells."""
    lines: list[Text] = []
    run = draft.run if draft is not None else None
    sentences = [*notes]
    if draft is None:
        lines += wrapped(Text(one_line(why_not)), width)
    elif run is None:
        sentences.append(draft.problem)
    else:
        summary = f"{run.total_steps:,} steps, {run.epochs:.2g} epochs, {about}"
        lines += wrapped(Text(summary, "bold"), width)
        sentences += [*run.warnings, draft.advice]
    for sentence in filter(None, map(one_line, sentences)):
        lines += wrapped(Text(f"! {sentence}", "yellow"), width)
    if run is not None:
        values = run.values()
        for name, origin in run.origins.items():
            if origin.origin == "auto":
                value = one_line(entry_of(values.get(name)), limit=60) or "none"
                lines += _reason(name, value, one_line(origin.why), width)
    return lines


def _reason(name: str, value: str, why: str, width: int) -> list[Text]:
    if width < NARROW:
        head = Text.assemble(f"{name} ", (value, "bold"), end="", no_wrap=True)
        head.truncate(max(0, width), overflow="ellipsis")
        rest = wrapped(Text(why, "dim"), width - 2)
        return [head, *(Text.assemble("  ", line, end="") for line in rest)]
    rest = wrapped(Text(why, "dim"), width - NAME - VALUE)
    head = Text.assemble(
        f"{name:<{NAME - 1}} ", (f"{value:<{VALUE - 1}} ", "bold"), rest[0], end=""
    )
    head.truncate(max(0, width), overflow="ellipsis")
    return [head, *(Text.assemble(" " * (NAME + VALUE), line, end="") for line in rest[1:])]
