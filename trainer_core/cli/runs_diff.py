"""Two runs side by side on a page of 80 columns."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from trainer_core.cli.runs_page import interval, origin_words, shortened, shortened_line, shown
from trainer_core.cli.table import table
from trainer_core.history.comparing import Comparison, CurvePair, MaterialPair, Measure, SettingPair
from trainer_core.history.facts import Setting
from trainer_core.text import duration, one_line, size

_VALUE = 22
_CURVES = {"loss": "loss", "eval_loss": "validation loss"}


def diff_lines(found: Comparison, *, everything: bool = False) -> list[str]:
    """What differs, section by section; with `everything` what is the same, too."""
    lines = [f"A  {one_line(found.a)}", f"B  {one_line(found.b)}"]
    sections = (
        ("settings", list(_settings(found.settings, everything=everything))),
        ("data", list(_material(found.material, everything=everything))),
        ("curves", list(_curves(found.curves))),
        ("scores", list(_scores(found))),
        ("measures", list(_measures(found.measures, everything=everything))),
        ("cannot be read", [f"  {one_line(words)}" for words in found.unread]),
    )
    for name, found_lines in sections:
        lines += ["", name, *found_lines] if found_lines else []
    return lines


def _settings(pairs: list[SettingPair], *, everything: bool) -> Iterator[str]:
    wanted = [pair for pair in pairs if everything or not pair.same]
    if not pairs:
        yield "  neither run came to a plan"
    elif not wanted:
        yield "  the same"
    elif wanted:
        rows = [("", "A", "B"), *((pair.name, _value(pair.a), _value(pair.b)) for pair in wanted)]
        for line, pair in zip(table(rows, "  ")[1:], wanted, strict=True):
            yield shortened_line(line)
            if not pair.same:
                yield from _more(pair)


def _value(setting: Setting | None) -> str:
    return "-" if setting is None else shortened(shown(setting.value), _VALUE)


def _more(pair: SettingPair) -> Iterator[str]:
    """Values that look alike when shortened, in full; and where they are from, if that says more
    than that a person gave them."""
    alike = _value(pair.a) == _value(pair.b)
    for name, setting in (("A", pair.a), ("B", pair.b)):
        if setting is None:
            continue
        if alike:
            yield f"      {name} {shown(setting.value)}"
        if setting.origin != "user":
            yield shortened_line(f"      {name} {origin_words(setting)}")


def _material(pairs: list[MaterialPair], *, everything: bool) -> Iterator[str]:
    for pair in pairs:
        name = pair.name if pair.a is None and pair.b is None else f"{pair.name} rows"
        if pair.same is None:
            yield f"  {name}: whether they are the same is not known"
        elif not pair.same:
            counts = f"{pair.a or 0:,} and {pair.b or 0:,}" if pair.a != pair.b else "other ones"
            yield f"  {name}: {counts if pair.a is not None else 'another'}"
        elif everything:
            yield f"  {name}: the same"
    if pairs and not everything and all(pair.same for pair in pairs):
        yield "  the same"


def _curves(curves: list[CurvePair]) -> Iterator[str]:
    for curve in curves:
        if curve.name in _CURVES:
            yield from _curve(curve)
    scores = [curve for curve in curves if curve.name not in _CURVES and curve.steps]
    for steps, group in groupby(scores, key=lambda curve: curve.steps):
        yield "  scores while training, B - A"
        rows = [("step", *(f"{step:,}" for step in steps), "A, B at the end")]
        for curve in group:
            differences = (f"{b - a:+.3f}" for a, b in zip(curve.a, curve.b, strict=True))
            ends = f"{curve.last_a:.3f}, {curve.last_b:.3f}"
            rows.append((curve.name.removeprefix("score_"), *differences, ends))
        yield from table(rows, "    ")


def _curve(curve: CurvePair) -> Iterator[str]:
    name = _CURVES[curve.name]
    if curve.common and curve.identical == curve.common and curve.last_a == curve.last_b:
        yield f"  {name}: the same to the last bit at all {curve.common:,} steps"
        return
    yield f"  {name}"
    rows = [("step", *(f"{step:,}" for step in curve.steps), "at the end")]
    for run, values, last in (("A", curve.a, curve.last_a), ("B", curve.b, curve.last_b)):
        end = f"{last:.4f}" if last is not None else "-"
        rows.append((run, *(f"{value:.4f}" for value in values), end))
    difference = [_difference(a, b) for a, b in zip(curve.a, curve.b, strict=True)]
    end = _difference(curve.last_a, curve.last_b)
    yield from table([*rows, ("B - A", *difference, end)], "    ")
    if curve.identical:
        steps = f"{curve.identical:,} step{'s' if curve.identical != 1 else ''}"
        yield f"    the same to the last bit for the first {steps} of those that both have"


def _difference(a: float | None, b: float | None) -> str:
    # Adding zero lets no "-0.0000" appear.
    return "-" if a is None or b is None else f"{round(b - a, 4) + 0.0:+.4f}"


def _scores(found: Comparison) -> Iterator[str]:
    pair = found.answers
    if pair is None or not pair.scores:
        yield "  no prompts that both have answered; backprop eval B --vs A asks them"
        return
    yield f"  {pair.rows:,} prompts of A's {pair.a} and B's {pair.b}, 95 % intervals"
    others = ", ".join(_other_sampling(pair.sampling_a, pair.sampling_b))
    if others:
        yield f"  not answered alike: {others}"
    rows = [("", "A", "B", "B - A")]
    rows += [
        (one_line(s.name), f"{s.a.value:.3f}", f"{s.b.value:.3f}", interval(s.difference, "+"))
        for s in pair.scores
    ]
    yield from table(rows, "    ")


def _other_sampling(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    """What differs in how answers were made; the likeliest token needs no dice."""
    drawn = a.get("temperature") or b.get("temperature")
    for name in ("max_tokens", "temperature", *(("top_p", "seed") if drawn else ())):
        ours, theirs = a.get(name), b.get(name)
        if ours != theirs:
            yield f"{name} {shown(ours)} and {shown(theirs)}"


def _measures(measures: list[Measure], *, everything: bool) -> Iterator[str]:
    rows = [
        (measure.name, _number(measure, measure.a), _number(measure, measure.b), _ratio(measure))
        for measure in measures
        if everything or measure.a != measure.b
    ]
    if rows:
        yield from table([("", "A", "B", "B / A"), *rows], "  ")


def _number(measure: Measure, value: float | None) -> str:
    if value is None:
        return "-"
    if measure.unit == "seconds":
        return duration(value)
    if measure.unit == "bytes":
        return size(value)
    return f"{value:.4f}" if measure.unit == "nats" else f"{value:,.0f}"


def _ratio(measure: Measure) -> str:
    if not measure.a or measure.b is None or measure.unit == "nats":
        return ""
    return f"{measure.b / measure.a:.2f}"
