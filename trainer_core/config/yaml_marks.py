"""Where the values of a YAML text stand, to the character, and the comments around them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from trainer_core.config.yaml_file import Keys

# What ends a line for YAML.
_BREAKS = "\r\n\x85\u2028\u2029"
_COMMENT = re.compile(rf"#[^{_BREAKS}]*")
_BLOCK_HEADER = re.compile(r"[^|>]*[|>][-+0-9]*[ \t]*")
_ALIAS = re.compile(r"\*[^\s,\[\]{}]+")


@dataclass(frozen=True)
class Slot:
    """A value and its place in what holds it.

    It begins at `start` with its key or its dash; `after` is just behind the colon or the dash, the
    value itself stands from `value` to `end`. All count characters of the text.
    """

    node: yaml.Node
    key: str | int
    holder: yaml.CollectionNode | None
    start: int
    after: int
    value: int
    end: int
    is_alias: bool = False

    @property
    def in_flow(self) -> bool:
        """Whether it stands inside brackets."""
        return self.holder is not None and bool(self.holder.flow_style)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is written there."""
        return self.value == self.end


def root_slot(text: str, root: yaml.Node) -> Slot:
    """The whole of a text that is not empty."""
    start = root.start_mark.index
    return Slot(root, "", None, start, start, start, _end(text, root))


def slots(text: str, node: yaml.Node) -> Iterator[Slot]:
    """The values that a mapping or a list holds, in order."""
    if not isinstance(node, yaml.CollectionNode):
        return
    place = node.start_mark.index + (1 if node.flow_style else 0)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = key.end_mark.index
            colon = skip(text, place)
            after = colon + 1 if text[colon : colon + 1] == ":" else place
            slot = _slot(text, value, str(key.value), node, key.start_mark.index, after)
            place = slot.end
            yield slot
    else:
        for number, item in enumerate(node.value):
            start = skip(text, place)
            if text[start : start + 1] == ",":
                start = skip(text, start + 1)
            after = start if node.flow_style else start + 1
            slot = _slot(text, item, number, node, start, after)
            place = slot.end
            yield slot


def find(text: str, root: yaml.Node, keys: Keys) -> Slot | None:
    """The value at `keys`; None where there is none."""
    slot = root_slot(text, root)
    for key in keys:
        found = next((child for child in slots(text, slot.node) if child.key == key), None)
        if found is None:
            return None
        slot = found
    return slot


def comments(text: str, slot: Slot) -> list[tuple[int, str]]:
    """The comments from behind the slot's colon to the end of its value, each with its place."""
    found: list[tuple[int, str]] = []
    place = slot.after
    for start, end, header in [*_leaves(text, slot), (slot.end, slot.end, None)]:
        found += ((match.start(), match[0]) for match in _COMMENT.finditer(text, place, start))
        if header is not None and (match := _COMMENT.match(text, header)):
            found.append((match.start(), match[0]))
        place = max(place, end)
    return found


def skip(text: str, place: int) -> int:
    """The next place, from `place` on, that is neither space nor comment."""
    while place < len(text):
        if text[place] == "#" and (place == 0 or text[place - 1].isspace()):
            place = line_end(text, place)
        elif text[place].isspace() or text[place] == "\ufeff":
            place += 1
        else:
            break
    return place


def line_start(text: str, place: int) -> int:
    """Where the line of `place` begins."""
    while place > 0 and text[place - 1] not in _BREAKS and text[place - 1] != "\ufeff":
        place -= 1
    return place


def line_end(text: str, place: int) -> int:
    """Where the line of `place` ends, before its line break."""
    while place < len(text) and text[place] not in _BREAKS:
        place += 1
    return place


def next_line(text: str, place: int) -> int:
    """Where the line after that of `place` begins."""
    end = line_end(text, place)
    return end + 2 if text.startswith("\r\n", end) else min(end + 1, len(text))


def column(text: str, place: int) -> int:
    """How far `place` is from the beginning of its line."""
    return place - line_start(text, place)


def last_scalar(text: str, slot: Slot) -> yaml.ScalarNode | None:
    """The scalar at the very end of a value; None where it ends in a bracket or an alias."""
    while not slot.is_alias and isinstance(slot.node, yaml.CollectionNode):
        if slot.node.flow_style or not slot.node.value:
            return None
        *_, slot = slots(text, slot.node)
    return slot.node if isinstance(slot.node, yaml.ScalarNode) and not slot.is_alias else None


def is_block_scalar(node: yaml.Node | None) -> bool:
    """Whether it is written below a `|` or `>`."""
    return isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}


def keeps_blank_lines(text: str, node: yaml.Node | None) -> bool:
    """Whether the blank lines behind it belong to it (`|+`)."""
    if not is_block_scalar(node) or node is None:
        return False
    header = _BLOCK_HEADER.match(text, node.start_mark.index)
    return header is not None and "+" in header[0]


def _slot(
    text: str, node: yaml.Node, key: str | int, holder: yaml.CollectionNode, start: int, after: int
) -> Slot:
    if node.start_mark.index < after:  # what an alias stands for was written before
        place = skip(text, after)
        alias = _ALIAS.match(text, place)
        end = alias.end() if alias else place
        return Slot(node, key, holder, start, after, place, end, is_alias=True)
    return Slot(node, key, holder, start, after, node.start_mark.index, _end(text, node))


def _end(text: str, node: yaml.Node) -> int:
    """Where what is written of a value ends; YAML's own mark is behind comments that follow."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        *_, last = slots(text, node)
        return last.end
    end: int = node.end_mark.index
    if is_block_scalar(node):
        kept = keeps_blank_lines(text, node)
        content = text[node.start_mark.index : end]
        content = content.removesuffix("\n").removesuffix("\r") if kept else content.rstrip()
        return node.start_mark.index + len(content)
    return end


def _leaves(text: str, slot: Slot) -> Iterator[tuple[int, int, int | None]]:
    """Where the scalars and aliases of a value stand, and the place behind a `|`."""
    if slot.is_alias or isinstance(slot.node, yaml.ScalarNode):
        header = None
        if not slot.is_alias and is_block_scalar(slot.node):
            match = _BLOCK_HEADER.match(text, slot.value)
            header = match.end() if match else None
        yield slot.value, slot.end, header
        return
    keys = [key for key, _ in slot.node.value] if isinstance(slot.node, yaml.MappingNode) else []
    for number, child in enumerate(slots(text, slot.node)):
        if keys:
            yield keys[number].start_mark.index, keys[number].end_mark.index, None
        yield from _leaves(text, child)
