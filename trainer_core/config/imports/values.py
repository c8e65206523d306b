"""Values as other tools' files have them, made plain. Each function raises ValueError with what the
value should be."""

import math
from typing import Any

_YES = {"true", "1", "1.0", "yes", "y", "on", "sim", "s"}
_NO = {"false", "0", "0.0", "no", "n", "off", "não", "nao", "none", "null"}


def blank(value: Any) -> bool:
    """Whether a key was left empty, which these tools take for not given."""
    return value is None or (isinstance(value, str) and not value.strip())


def off(value: Any) -> bool:
    """Whether a value says that something is not wanted."""
    if isinstance(value, list | dict):
        return not value
    return blank(value) or str(value).strip().lower() in _NO


def yes_no(value: Any) -> bool:
    """true, "True", 1, "1" and "sim", and their opposites, are all meant."""
    word = str(value).strip().lower()
    if word not in _YES | _NO:
        raise ValueError("should be true or false")
    return word in _YES


def says_yes(value: Any) -> bool:
    """Whether a value is one of the words for true; False for anything else."""
    return str(value).strip().lower() in _YES


def number(value: Any) -> float:
    """A number, which may be written as text (YAML 1.1 reads 2e-4 as text)."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        if isinstance(value, str):
            return float(value)
    except ValueError:
        pass
    raise ValueError("should be a number")


def whole(value: Any) -> int:
    """A whole number."""
    found = number(value)
    if not math.isfinite(found) or found != int(found):
        raise ValueError("should be a whole number")
    return int(found)


def share(value: Any) -> float:
    """A number, or a percentage as a share of 1."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return number(value.strip()[:-1]) / 100
    return number(value)


def text(value: Any) -> str:
    """Text, without blanks around it."""
    if not isinstance(value, str):
        raise ValueError("should be text")
    return value.strip()


def name(value: Any) -> str:
    """Text, which YAML reads as a number where it looks like one."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value)


def names(value: Any) -> list[str]:
    """A list of texts, or one text with commas."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError("should be a list of names")
    return [item.strip() for item in items if item.strip()]
