"""Changing one field of a YAML text, and not a byte besides: comments, quotes and order stay."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import yaml

from trainer_core.config import yaml_marks as marks
from trainer_core.config.plain_data import at, has, same, with_value, without
from trainer_core.config.yaml_file import Builder, Keys, compose
from trainer_core.config.yaml_marks import Slot
from trainer_core.config.yaml_text import WIDTH, block, inline
from trainer_core.errors import UserError

_STEP = 2
# More aliases than a person writes.
_MOST_ALIASES = 100


def set_value(text: str, keys: Keys, value: Any) -> str:
    """`text` with `value` at `keys`; a section that is missing is added at the end.

    `value` is plain data as YAML has it. Of a mapping or a block list only those parts change that
    differ. Comments inside a value that is replaced move above it.

    Raises UserError if the text is no YAML mapping, if a value stands where a section should, or if
    it is written in a way in which nothing can be changed alone.
    """
    wanted = with_value(_data(text), keys, value)
    return _changed(text, keys, wanted, lambda text: _set(text, keys, value))


def unset(text: str, keys: Keys) -> str:
    """`text` without what stands at `keys`: its lines go, and sections that are empty then.

    Comments on lines of their own beside it stay. Nothing happens where there is no such value.
    Raises UserError as set_value does.
    """
    data = _data(text)
    if not has(data, keys):
        return text
    return _changed(text, keys, without(data, keys), lambda text: _unset(text, keys))


def _changed(text: str, keys: Keys, wanted: Any, change: Callable[[str], str]) -> str:
    """The text after `change`, once it reads as `wanted` and as nothing else."""
    as_it_is: Callable[[str], str] = str
    for written in (as_it_is, _plainer):
        try:
            after = change(written(text))
            if same(_data(after), wanted):
                return after
        except UserError:
            continue
    raise UserError(
        f"{'.'.join(map(str, keys))} cannot be changed without changing more of the file",
        hint="Change it in the YAML itself.",
    )


@lru_cache(maxsize=16)
def _read(text: str) -> tuple[yaml.Node | None, Any]:
    node = compose(text, "the config")
    data = Builder("the config", {}).build(node, (), 0)
    if not isinstance(data, dict | None):
        raise UserError("the config is no mapping", hint="It has sections: model, data…")
    return node, data if data is not None else {}


def _data(text: str) -> Any:
    return _read(text)[1]


# --- setting -------------------------------------------------------------------------------------


def _set(text: str, keys: Keys, value: Any) -> str:
    root = _read(text)[0]
    if root is None:
        return _append(text, _lines(_nested(keys, value), 0))
    slot = marks.root_slot(text, root)
    for depth, key in enumerate(keys):
        child = next((child for child in marks.slots(text, slot.node) if child.key == key), None)
        if child is None:
            new = _nested(keys[depth + 1 :], value)
            if isinstance(slot.node, yaml.MappingNode) and slot.node.value:
                return _add(text, slot.node, slot.holder is None, str(key), new)
            return _replace(text, slot, {key: new})
        slot = child
    return _merge(text, keys, value) if _has_parts(slot, value) else _replace(text, slot, value)


def _nested(keys: Keys, value: Any) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value


def _has_parts(slot: Slot, value: Any) -> bool:
    """Whether the old value is a mapping or a list whose parts can be changed one by one."""
    node = slot.node
    if slot.is_alias or not value or not node.value:
        return False
    if isinstance(node, yaml.MappingNode):
        return isinstance(value, dict)
    return isinstance(node, yaml.SequenceNode) and not node.flow_style and isinstance(value, list)


def _merge(text: str, keys: Keys, value: Any) -> str:
    """Change only those parts of a mapping or list that differ."""
    old = at(_data(text), keys)
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in old or not same(old[key], part):
                text = _set(text, (*keys, key), part)
        for key in [key for key in old if key not in value]:
            text = _unset(text, (*keys, key))
        return text
    first, last = _common(old, value)
    removed, added = old[first : len(old) - last], value[first : len(value) - last]
    both = min(len(removed), len(added))
    for number in range(both):
        text = _set(text, (*keys, first + number), added[number])
    for _ in removed[both:]:
        text = _unset(text, (*keys, first + both))
    for number, item in enumerate(added[both:], first + both):
        text = _insert_item(text, keys, number, item)
    return text


def _common(old: list[Any], new: list[Any]) -> tuple[int, int]:
    """How many items two lists share at their beginnings, and then at their ends."""
    shortest = min(len(old), len(new))
    first = next((n for n in range(shortest) if not same(old[n], new[n])), shortest)
    rest = shortest - first
    last = next((n for n in range(rest) if not same(old[-1 - n], new[-1 - n])), rest)
    return first, last


def _insert_item(text: str, keys: Keys, number: int, value: Any) -> str:
    items = list(marks.slots(text, _found(text, keys).node))
    indent = marks.column(text, items[0].start)
    lines = [f"- {inline(value)}"] if _fits(value, indent + _STEP) else block([value])
    first, *more = [lines[0], *(" " * indent + line for line in lines[1:])]
    if number == 0:
        place = items[0].start
        return text[:place] + _joined(text, [first, *more, " " * indent]) + text[place:]
    place = marks.line_end(text, items[number - 1].end)
    return text[:place] + _joined(text, ["", " " * indent + first, *more]) + text[place:]


def _add(text: str, node: yaml.MappingNode, is_root: bool, key: str, value: Any) -> str:
    """Add a key to a mapping that has some: at its end, but a value beside sections before them."""
    pairs = list(marks.slots(text, node))
    start, end = pairs[0].start, pairs[-1].end
    if node.flow_style:
        return f"{text[:end]}, {inline({key: value}, flow=True)[1:-1]}{text[end:]}"
    indent = marks.column(text, start)
    lines = _lines({key: value}, indent)
    if is_root and isinstance(value, dict):
        return _append(text, lines)
    if is_root:
        new = _joined(text, [*lines, " " * indent])[indent:]
        return text[:start] + new + text[start:]
    place = marks.line_end(text, end)
    return text[:place] + _joined(text, ["", *lines]) + text[place:]


def _append(text: str, lines: list[str]) -> str:
    """`text` with lines at its end, after a blank one."""
    root = _read(text)[0]
    last = marks.last_scalar(text, marks.root_slot(text, root)) if root is not None else None
    gap = [] if not text.strip("\ufeff \r\n") or marks.keeps_blank_lines(text, last) else [""]
    if not text or text.endswith(("\n", "\r", "\ufeff")):
        return text + _joined(text, [*gap, *lines, ""])
    return text + _joined(text, ["", *gap, *lines])


def _replace(text: str, slot: Slot, value: Any) -> str:
    """Put `value` where the slot's value is."""
    if slot.holder is None:
        return text[: slot.value] + _joined(text, _lines(value, 0)) + text[slot.end :]
    if not _as_block(text, slot, value):
        return _with_comments(text, slot, _gap(text, slot) + inline(value, slot.in_flow), slot.end)
    end = marks.line_end(text, slot.end)
    lines = _lines(value, marks.column(text, slot.start) + _STEP)
    return _with_comments(text, slot, text[slot.end : end] + _joined(text, ["", *lines]), end)


def _as_block(text: str, slot: Slot, value: Any) -> bool:
    """Whether a value is written on lines below its key: sections, and what is too long for one."""
    if slot.in_flow or not isinstance(value, dict | list) or not value:
        return False
    if isinstance(value, dict) and isinstance(slot.key, str):
        return True
    return not _fits(value, marks.column(text, slot.after))


def _with_comments(text: str, slot: Slot, new: str, end: int) -> str:
    """Replace the text from the slot's colon to `end`. A comment on the line of the colon stays on
    it where it can; others that stood in between move above."""
    head, above = "", []
    follows = text[end : marks.line_end(text, end)].strip()
    for place, comment in marks.comments(text, slot):
        if place < marks.line_end(text, slot.after) and follows.startswith(
            ("", "#")[bool(follows)]
        ):
            head = comment
        else:
            above.append(comment)
    if head:
        first = marks.line_end(new, 0)
        line = new[:first].rstrip()
        new = f"{line}{'  ' if line else ' '}{head}{new[first:]}"
    text = text[: slot.after] + new + text[end:]
    place = marks.line_start(text, slot.start)
    indent = len(text[place:]) - len(text[place:].lstrip(" "))
    lifted = "".join(f"{' ' * indent}{comment}{_newline(text)}" for comment in above)
    return text[:place] + lifted + text[place:]


def _gap(text: str, slot: Slot) -> str:
    """What stands between the colon and the value: as it is, if the value is on that line."""
    if slot.in_flow and slot.after == slot.start:  # an item in brackets has no mark before it
        return ""
    gap = text[slot.after : slot.value]
    return gap if gap and not gap.strip(" \t") and not slot.is_empty else " "


def _fits(value: Any, used: int) -> bool:
    return used + len(inline(value)) < WIDTH


def _lines(value: dict[str, Any] | list[Any], indent: int) -> list[str]:
    return [" " * indent + line for line in block(value)]


def _joined(text: str, lines: list[str]) -> str:
    return _newline(text).join(lines)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _root(text: str) -> yaml.Node:
    root = _read(text)[0]
    if root is None:
        raise UserError("the config is empty")
    return root


def _found(text: str, keys: Keys) -> Slot:
    slot = marks.find(text, _root(text), keys)
    if slot is None:
        raise UserError(f"there is no {'.'.join(map(str, keys))}")
    return slot


# --- removing ------------------------------------------------------------------------------------


def _unset(text: str, keys: Keys) -> str:
    root, slot = marks.root_slot(text, _root(text)), _found(text, keys)
    beside = list(marks.slots(text, slot.holder or root.node))
    if slot.in_flow and len(beside) > 1:
        return _remove_in_flow(text, slot, beside)
    if len(beside) > 1:
        return _remove(text, slot, beside)
    if len(keys) == 1:
        whole = root if slot.in_flow else slot
        return f"{text[: whole.start]}{{}}{text[whole.end :]}"
    if not slot.in_flow:
        text = _remove(text, slot, beside)  # comments beside it stay when its section goes
    return _unset(text, keys[:-1])


def _remove(text: str, slot: Slot, beside: list[Slot]) -> str:
    """Remove the lines of a value."""
    line, end = marks.line_start(text, slot.start), marks.next_line(text, slot.end)
    if text[line : slot.start].strip():  # behind a dash: what comes below stays where it is
        return text[: slot.start].rstrip(" ") + text[marks.line_end(text, slot.end) :]
    place = beside.index(slot)
    before = marks.last_scalar(text, beside[place - 1]) if place else None
    if slot.start == line and not marks.keeps_blank_lines(text, before):
        line = _without_blank_line(text, line, end)
    return text[:line] + text[end:]


def _without_blank_line(text: str, start: int, end: int) -> int:
    """Where to cut so that a section that goes leaves one blank line behind, not two."""
    if text[end : marks.line_end(text, end)].strip() or not text[:start].endswith("\n"):
        return start
    before = marks.line_start(text, start - len(_newline(text)))
    return before if not text[before:start].strip() else start


def _remove_in_flow(text: str, slot: Slot, beside: list[Slot]) -> str:
    """Remove a part of `{…}` or `[…]`, and one comma."""
    comma = marks.skip(text, slot.end)
    if text[comma : comma + 1] == ",":
        rest = text[comma + 1 :].lstrip(" ")
        return text[: slot.start] + text[slot.end : comma] + rest
    comma = marks.skip(text, beside[-2].end)
    between = text[comma + 1 : slot.start]
    return text[:comma] + (between if between.strip() else "") + text[slot.end :]


# --- texts in which one change would change more -------------------------------------------------


def _plainer(text: str) -> str:
    """The same data without aliases, and without a block scalar that ends with the file."""
    for _ in range(_MOST_ALIASES):
        alias = _first_alias(text, marks.root_slot(text, _root(text)))
        if alias is None:
            break
        value = inline(Builder("", {}).build(alias.node, (), 0), flow=True)
        text = text[: alias.value] + value + text[alias.end :]
    last = marks.last_scalar(text, marks.root_slot(text, _root(text)))
    if last is None or not marks.is_block_scalar(last) or text.endswith(("\n", "\r")):
        return text
    start = last.start_mark.index
    end = marks.line_end(text, start)
    head = re.sub(r"([|>][0-9]?)[-+]?([0-9]?)", r"\1-\2", text[start:end], count=1)
    return text[:start] + head + text[end:] + _newline(text)


def _first_alias(text: str, slot: Slot) -> Slot | None:
    for child in marks.slots(text, slot.node):
        found = child if child.is_alias else _first_alias(text, child)
        if found is not None:
            return found
    return None
