"""Plain data as YAML has it, nested mappings and lists: changed by keys, compared by kind."""

from copy import deepcopy
from typing import Any

from trainer_core.config.yaml_file import Keys
from trainer_core.errors import UserError


def with_value(data: dict[str, Any], keys: Keys, value: Any) -> dict[str, Any]:
    """A copy with `value` at `keys`; sections that are missing, or null, are made.

    Raises UserError where a value stands in place of a section, or a list has no such item.
    """
    copy = deepcopy(data)
    holder: Any = copy
    for depth, key in enumerate(keys[:-1], 1):
        inner = at(holder, (key,))
        if inner is None and isinstance(keys[depth], str) and isinstance(holder, dict):
            inner = holder[key] = {}
        if not isinstance(inner, dict | list):
            name = ".".join(map(str, keys[:depth]))
            raise UserError(f"{name} is a value, not a section", hint="Change it in the YAML.")
        holder = inner
    key = keys[-1]
    if isinstance(key, int) and not has(holder, (key,)):
        raise UserError(f"there is no {'.'.join(map(str, keys))}")
    if isinstance(key, str) and not isinstance(holder, dict):
        raise UserError(f"{'.'.join(map(str, keys))} cannot be: it stands in a list")
    holder[key] = value
    return copy


def without(data: dict[str, Any], keys: Keys) -> dict[str, Any]:
    """A copy without what is at `keys`, and without the sections that are empty then."""
    copy = deepcopy(data)
    _take_out(copy, keys)
    return copy


def has(data: Any, keys: Keys) -> bool:
    """Whether there is a value at `keys`, be it null."""
    for key in keys:
        if isinstance(key, int):
            if not isinstance(data, list) or not 0 <= key < len(data):
                return False
        elif not isinstance(data, dict) or key not in data:
            return False
        data = data[key]
    return True


def at(data: Any, keys: Keys) -> Any:
    """The value at `keys`; None where there is none."""
    if not has(data, keys):
        return None
    for key in keys:
        data = data[key]
    return data


def same(one: Any, other: Any) -> bool:
    """Equal, and of one kind: 1, 1.0 and true are three values."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or repr(one) == repr(other)  # nan is not nan


def _take_out(holder: Any, keys: Keys) -> None:
    key, rest = keys[0], keys[1:]
    if not has(holder, keys):
        return
    if rest:
        _take_out(holder[key], rest)
    if not rest or not holder[key]:
        del holder[key]
