"""Where chat templates run: no way out of Jinja, and no way to ask for a gigabyte.

Jinja's own sandbox keeps a template from Python; it does not keep `'A' * 10**9` or a loop of loops
from eating the machine. Here the operators and filters that make much out of little are bounded,
and so is the whole text.
"""

import json
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_NUMBER = 10**18
MAX_REPEATED = 1 << 20
MAX_WIDTH = 10_000
MAX_TEXT = 1 << 28
MAX_STEPS = 2_000_000
# A rendering may be this much longer than what goes in.
GROWTH, ROOM = 64, 1 << 20


class TooMuchError(Exception):
    """A template asks for more than any chat template needs."""


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with bounds on `+`, `*`, `**`, ranges and widths."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name in ("center", "indent"):
            self.filters[name] = _bounded_width(self.filters[name])
        self.filters["format"] = _format
        self.filters["replace"] = _replace
        self.globals["range"] = _range

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        """`left operator right`, if the result is no larger than a template can want."""
        if operator == "+":
            if isinstance(left, str) and len(left) > MAX_TEXT:
                raise TooMuchError("makes too long a text")
            return left + right
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                several = isinstance(many, str | list | tuple) and isinstance(times, int)
                if several and len(many) * times > MAX_REPEATED:
                    raise TooMuchError("repeats something too often")
        if operator == "**" and _magnitude(left, right) > 18:
            raise TooMuchError("raises a number to too high a power")
        if operator == "%" and isinstance(left, str):
            return _format(left, *(right if isinstance(right, tuple) else (right,)))
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and abs(result) > MAX_NUMBER:
            raise TooMuchError("makes too large a number")
        return result


def render_bounded(template: jinja2.Template, known: dict[str, Any], **values: Any) -> str:
    """The text of a template, piece by piece, until it is longer than any conversation makes it.

    `known` is the template's globals as a plain dict: Jinja would copy them from a chain of maps
    for each text, which takes as long as rendering it.

    Raises TooMuchError, and whatever the template raises.
    """
    context = template.new_context({**known, **values}, shared=True)
    pieces, length, limit = [], 0, ROOM
    for steps, piece in enumerate(template.root_render_func(context)):
        pieces.append(piece)
        length += len(piece)
        if length > limit or steps > MAX_STEPS:
            limit = ROOM + GROWTH * _size(values)  # counted only where it matters
            if length > limit or steps > MAX_STEPS:
                raise TooMuchError(f"writes more than {limit:,} characters for one conversation")
    return "".join(pieces)


def to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    """As transformers' `tojson`: plain JSON, not made safe for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_size(item) for item in value.values())
    if isinstance(value, list):
        return sum(_size(item) for item in value)
    return 8


def _magnitude(base: Any, exponent: Any) -> float:
    """About how many digits base ** exponent has."""
    if not isinstance(base, int | float) or not isinstance(exponent, int | float):
        return 0.0
    return len(str(abs(int(base)))) * abs(float(exponent)) if abs(base) > 1 else 0.0


def _bounded_width(original: Any) -> Any:
    def bounded(value: Any, width: Any = 4, *rest: Any, **named: Any) -> Any:
        if isinstance(width, int) and width > MAX_WIDTH:
            raise TooMuchError("pads a text too far")
        return original(value, width, *rest, **named)

    return bounded


def _format(pattern: Any, *values: Any, **named: Any) -> str:
    digits = "".join(c if c.isdigit() else " " for c in str(pattern)).split()
    if any(len(number) > 4 for number in digits) or "*" in str(pattern):
        raise TooMuchError("formats a value too widely")
    return str(pattern) % (named or values)


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, old, new = str(value), str(old), str(new)
    times = text.count(old) if old else len(text) + 1
    if times * max(0, len(new) - len(old)) > MAX_REPEATED:
        raise TooMuchError("replaces a text by too much")
    return text.replace(old, new, -1 if count is None else count)


def _range(*arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > 100_000:
        raise TooMuchError("counts too far")
    return numbers
