"""A plan as lines of text."""

from trainer_core.planning.draft import Draft
from trainer_core.planning.fitting import MemoryPlan
from trainer_core.planning.plan import ResolvedRun
from trainer_core.text import one_line, size

BAR = 30
# A value that takes more room than this is shown by its beginning.
VALUE = 34


def plan_lines(found: Draft) -> list[str]:
    """What the run will be: its values with origin and reason, then what it takes."""
    run = found.run
    if run is None:
        return [found.problem]
    lines = [*_values(run), ""]
    data = "estimated from the first rows" if found.estimated else "counted"
    if found.unknown:
        data = "not looked at: this is for a thousand examples of 400 tokens"
    lines += _runs(run)
    passes = f"{run.epochs:.2f} epochs" + (" on average" if run.runs else "")
    lines.append(f"{run.total_steps:,} steps, {passes}; the data is {data}")
    lines += [f"warning: {warning}" for warning in run.warnings]
    if run.memory is None:
        return [*lines, "memory: the sizes of this kind of model are not known"]
    lines += ["", *memory_lines(run.memory)]
    return [*lines, found.advice] if found.advice else lines


def memory_lines(memory: MemoryPlan) -> list[str]:
    """The components of the estimate with bars, the total, and the room there is."""
    most = max(*memory.parts.values(), 1)
    lines = [f"memory of {memory.device}"]
    for name, taken in memory.parts.items():
        lines.append(f"  {name:<12} {size(taken):>9}  {'█' * round(BAR * taken / most)}")
    fits = "fits" if memory.fits else "DOES NOT FIT"
    lines.append(f"  {'total':<12} {size(memory.total):>9}  of {size(memory.budget)}: {fits}")
    if memory.correction != 1:
        lines.append(f"  corrected by {memory.correction:.2f}, as runs like it measured here")
    if memory.longest:
        lines.append(f"  the longest example that would fit: {memory.longest:,} tokens")
    return lines


def _values(run: ResolvedRun) -> list[str]:
    lines, section = [], ""
    for name, value in run.values().items():
        origin = run.origins[name]
        here, _, field = name.partition(".")
        if origin.origin == "default" and (not value or isinstance(value, dict)):
            continue
        if here != section:
            section = here
            lines.append(section)
        shown = one_line(_shown(value), limit=VALUE)
        why = "" if origin.why in ("as configured", "the default") else f": {origin.why}"
        lines.append(f"  {field:<23} {shown:<{VALUE}} {origin.origin}{one_line(why, limit=120)}")
    return lines


def _runs(run: ResolvedRun) -> list[str]:
    """The runs of a multi-run, one a line."""
    if not run.runs:
        return []
    width = max(len(one_line(part.name, limit=VALUE)) for part in run.runs)
    lines = [f"{len(run.runs)} runs, and merged after each: {run.config.multi_run.merge}"]
    for part in run.runs:
        rows = f"{part.rows:,} rows" + (f", {part.replayed:,} replayed" if part.replayed else "")
        rate = f"{part.steps:,} steps at {part.learning_rate:.1e}"
        lines.append(
            f"  {part.number}  {one_line(part.name, limit=VALUE):<{width}}  {rate}, {rows}"
        )
    compared = ", ".join(run.config.multi_run.compare)
    return [*lines, *([f"  then as many steps of each: {compared}"] if compared else []), ""]


def _shown(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        if "target_loss" in value[0]:
            return f"{len(value)} stages"
        places = [item.get("path") or item.get("hub") or "pairs" for item in value]
        return ", ".join(str(place).rsplit("/", 1)[-1] for place in places)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
