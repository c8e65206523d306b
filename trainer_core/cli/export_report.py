"""One exported thing as lines of text: what it is, its check as a table, what to do with it."""

from trainer_core.runs.events import Check, Exported, Measure
from trainer_core.text import duration, one_line, size

MARKS = {True: "ok  ", False: "FAIL"}


def export_lines(made: Exported) -> list[str]:
    """What a person should know of `made`."""
    head = f"{made.format}: {one_line(made.path)}, {size(made.size)} in {duration(made.seconds)}"
    if made.check is None:
        return [f"{head}, NOT checked"]
    return [f"{head}, checked in {made.check.runtime}", *_check_lines(made.check)]


def _check_lines(check: Check) -> list[str]:
    lines = [f"  {_measure(measure)}" for measure in check.measures]
    if check.differs:
        lines.append(f"  FAIL {one_line(check.differs)}")
    for spoken in check.spoken[:1]:
        lines.append(f"  asked     {one_line(spoken.prompt, limit=90)}")
        lines.append(f"  trained   {one_line(spoken.trained, limit=90)}")
        lines.append(f"  exported  {one_line(spoken.exported, limit=90)}")
    return lines


def _measure(measure: Measure) -> str:
    way = "at least" if measure.at_least else "at most"
    value, limit = f"{measure.value:.4g}", f"{measure.limit:.4g}"
    return f"{MARKS[measure.passed]} {measure.name:<42} {value:>9}  {way} {limit}"
