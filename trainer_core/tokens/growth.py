"""The operations of templates that make much out of little in one step: each is asked before it is
done, how much that will be."""

import re
from collections.abc import Callable, Iterable
from string import Formatter
from typing import Any

from trainer_core.tokens.render_budget import RenderBudget, TooMuchError

# A width or a count that is given to a filter or a method.
MAX_NUMBER_GIVEN = 10_000
WIDTH_FROM_A_VALUE = re.compile(r"%[^a-zA-Z%(]*\*")
NUMBERS = re.compile(r"\d+")
WIDENING = frozenset({"center", "ljust", "rjust", "zfill"})

Asked = Callable[..., Any]


def _joined_first(
    budget: RenderBudget, items: Iterable[Any], d: Any = "", *_: Any, **__: Any
) -> Any:
    """The items of a `join`, if the text will not be too long."""
    known = budget.made(list(budget.steps(items)))
    budget.make(len(str(d)) * len(known))
    return known


def _replaced_first(
    budget: RenderBudget, text: Any, old: Any = "", new: Any = "", *_: Any, **__: Any
) -> Any:
    known, old, new = str(text), str(old), str(new)
    times = known.count(old) if old else len(known) + 1
    budget.make(max(0, len(new) - len(old)) * times)
    return text


def _indented_first(budget: RenderBudget, text: Any, width: Any = 4, *_: Any, **__: Any) -> Any:
    each = width if isinstance(width, int) else len(str(width))
    budget.make(len(str(text).splitlines()) * each)
    return text


def _formatted_first(budget: RenderBudget, pattern: Any, *_: Any, **__: Any) -> Any:
    if WIDTH_FROM_A_VALUE.search(str(pattern)):
        raise TooMuchError("takes the width of a value from another")
    budget.make(_widths(str(pattern)))  # any number in it might be one
    return pattern


def _summed_first(budget: RenderBudget, items: Any, *arguments: Any, **named: Any) -> Any:
    if not isinstance(named.get("start", arguments[1] if len(arguments) > 1 else 0), int | float):
        raise TooMuchError("sums something else than numbers")
    return budget.steps(items)


def _counted_first(_: RenderBudget, value: Any, *arguments: Any, **named: Any) -> Any:
    _check_numbers([*arguments, *named.values()])
    return value


ASKED_FIRST: dict[str, Asked] = {
    "batch": _counted_first,
    "center": _counted_first,
    "format": _formatted_first,
    "indent": _indented_first,
    "join": _joined_first,
    "replace": _replaced_first,
    "round": _counted_first,
    "slice": _counted_first,
    "sum": _summed_first,
}


def asked_method(budget: RenderBudget, text: str, name: str, arguments: list[Any]) -> list[Any]:
    """The arguments of a method of `text`, if it will not make too much."""
    if name == "join" and arguments:
        return [_joined_first(budget, arguments[0], text)]
    if name == "replace":
        _replaced_first(budget, text, *arguments[:2])
    elif name in {"format", "format_map"}:
        specs = [spec or "" for _, _, spec, _ in Formatter().parse(text)]
        if any("{" in spec for spec in specs):
            raise TooMuchError("takes the width of a value from another")
        budget.make(sum(map(_widths, specs)))
    elif name in WIDENING:
        _check_numbers(arguments)
    return arguments


def _check_numbers(arguments: Any) -> None:
    """Raises TooMuchError for a width or a count that no chat template needs."""
    for argument in arguments:
        if isinstance(argument, int) and argument > MAX_NUMBER_GIVEN:
            raise TooMuchError("gives a filter or a method too large a number")


def _widths(text: str) -> int:
    numbers = NUMBERS.findall(text)
    if any(len(number) > 4 for number in numbers):
        raise TooMuchError("formats a value too widely")
    return sum(map(int, numbers))


def power_digits(base: Any, exponent: Any) -> float:
    """About how many digits base ** exponent has."""
    if not isinstance(base, int | float) or not isinstance(exponent, int | float):
        return 0.0
    return len(str(abs(int(base)))) * abs(float(exponent)) if abs(base) > 1 else 0.0
