"""YAML with line numbers, and without YAML's surprises.

Scalars follow YAML 1.2's core schema, so `2e-4` is a number and `12:30` a string. Duplicate keys,
tags, runaway aliases and nesting are refused with path:line.
"""

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from trainer_core.errors import UserError
from trainer_core.text import one_line

Keys = tuple[str | int, ...]

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 100_000
_TAGS = {"null", "bool", "int", "float", "str", "seq", "map"}


class CoreLoader(yaml.SafeLoader):
    """Resolves plain scalars by YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


_NUMBER_STARTS = list("-+.0123456789")
CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]{1,30}$"), _NUMBER_STARTS
)
CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"
        r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    ),
    _NUMBER_STARTS,
)


class CoreDumper(yaml.SafeDumper):
    """Quotes every string that a plain scalar of either YAML version would turn into a number."""


for _start, _resolvers in CoreLoader.yaml_implicit_resolvers.items():
    for _tag, _pattern in _resolvers:
        CoreDumper.add_implicit_resolver(_tag, _pattern, [_start])


@dataclass(frozen=True)
class YamlFile:
    """Parsed YAML: plain data, and the line (from 1) at which each value's key stands."""

    path: str
    data: dict[str, Any]
    lines: dict[Keys, int] = field(default_factory=dict)

    def where(self, keys: Keys) -> str:
        """path:line of `keys`, or of the nearest parent that the file has."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return f"{self.path}:{self.lines[keys]}" if keys else self.path


def read_yaml(path: Path) -> YamlFile:
    """Read a mapping from a YAML file.

    Raises UserError, naming path:line, for anything that is not a small, plain, UTF-8 YAML mapping.
    """
    return parse_yaml(read_text(path), str(path))


def parse_scalar(text: str) -> Any:
    """A value as it would be read after `key: ` in a file; for overrides on a command line."""
    try:
        return Builder("--set", {}).build(compose(text, "--set"), (), 0)
    except UserError:
        return text


def dump_yaml(data: dict[str, Any]) -> str:
    """`data` as YAML that `read_yaml` reads back as it is."""
    return yaml.dump(data, Dumper=CoreDumper, sort_keys=False, allow_unicode=True, width=100)


def parse_yaml(text: str, path: str) -> YamlFile:
    """Parse `text` as the content of `path` (used only in messages)."""
    lines: dict[Keys, int] = {}
    data = Builder(path, lines).build(compose(text, path), (), 0)
    if not isinstance(data, dict):
        kind = "empty" if data is None else f"a {type(data).__name__}, not a mapping"
        raise UserError(
            f"the file is {kind}", where=path, hint="A config has sections: model, data…"
        )
    return YamlFile(path, data, lines)


def read_text(path: Path) -> str:
    """The text of a small UTF-8 file, without a BOM. Raises UserError for anything else."""
    try:
        file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 - Path.open has no opener
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist", hint="Check the path, or write one: backprop config new."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"{path} cannot be opened: {reason}") from None
    with file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise UserError(f"{path} is not a regular file", hint="Name a YAML file.")
        if info.st_size > MAX_BYTES:
            raise UserError(
                f"{path} has {info.st_size:,} bytes; a config has at most {MAX_BYTES:,}",
                hint="Is this the right file?",
            )
        raw = file.read(MAX_BYTES + 1)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(
            "the file is not UTF-8", where=f"{path}:{line}", hint="Save it as UTF-8."
        ) from None


def _open_at_once(path: str, flags: int) -> int:
    # O_NONBLOCK: opening a FIFO without a writer must not hang.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def compose(text: str, path: str) -> yaml.Node | None:
    """The nodes of a YAML text, with their places in it. Raises UserError."""
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=CoreLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else path
        problem = error.problem or error.context or "cannot be parsed"
        if "'\\t'" in problem:
            problem = "a tab is used for indentation"
        raise UserError(f"not valid YAML: {problem}", where=where, hint="Mend that line.") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise UserError(
            f"not valid YAML: {error.reason}", where=f"{path}:{line}", hint="Mend that line."
        ) from None
    except RecursionError:
        raise UserError("the file is nested too deeply", where=path) from None
    return node


class Builder:
    """Turns YAML nodes into plain data and notes the line of every key."""

    def __init__(self, path: str, lines: dict[Keys, int]) -> None:
        self.path = path
        self.lines = lines
        self.nodes = 0

    def build(self, node: yaml.Node | None, keys: Keys, depth: int) -> Any:
        """The value of a node that stands at `keys`. Raises UserError for what is not plain."""
        if node is None:
            return None
        line = node.start_mark.line + 1
        self.nodes += 1  # aliases are walked each time they are used, so this bounds alias bombs
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise self._error("nested too deeply or too large (aliases?)", line)
        if node.tag.removeprefix("tag:yaml.org,2002:") not in _TAGS:
            raise self._error(f"the tag {node.tag!r} is not allowed", line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys, depth)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                self.lines[(*keys, index)] = item.start_mark.line + 1
                items.append(self.build(item, (*keys, index), depth + 1))
            return items
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, keys: Keys, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error("a key must be a word", line)
            key = str(key_node.value)
            if key in result:
                raise self._error(f"the key {key!r} appears twice", line)
            self.lines[(*keys, key)] = line
            result[key] = self.build(value_node, (*keys, key), depth + 1)
        return result

    def _scalar(self, node: yaml.Node) -> Any:
        tag, value = node.tag.removeprefix("tag:yaml.org,2002:"), str(node.value)
        if tag == "null":
            return None
        if tag == "bool":
            return value.lower() == "true"
        try:
            if tag == "int":
                return int(value)
            if tag == "float":
                return float(value.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:  # the tag was written there: !!int x
            line = node.start_mark.line + 1
            raise self._error(f"{one_line(value, limit=40)!r} is no {tag}", line) from None
        return value

    def _error(self, message: str, line: int) -> UserError:
        return UserError(message, where=f"{self.path}:{line}")
