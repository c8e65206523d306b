"""As much of Go's text/template as we write for Ollama: to render it here, before Ollama does.

Known: text, `{{ range $i, $m := X }}`, `{{ if X }}`, `{{ else if X }}`, `{{ else }}`, `{{ end }}`,
`{{ $name := X }}`, `{{ $name = X }}` and `{{ X }}`; in X fields, variables, strings, numbers, true,
false, parentheses, and the functions eq, ne, not, and, or, len, slice. Nothing trims (`{{-`).

Source: the documentation of Go's package text/template.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_ACTION = re.compile(r"\{\{ (.*?) \}\}", re.DOTALL)
_WORD = re.compile(r'\s*("(?:[^"\\]|\\.)*"|:=|[()=,]|[^\s()=,]+)')


def literal(text: str) -> str:
    """`text` as a template that renders to just that. Braces are quoted, since they could begin an
    action, and three quotes in a row, since they end a template in a Modelfile."""
    return re.sub(r'\{+|"{3,}', lambda found: f"{{{{ {_quoted(found[0])} }}}}", text)


def render(template: str, data: Mapping[str, Any]) -> str:
    """The text that `template` makes of `data`.

    Raises ValueError for what is not of this subset.
    """
    nodes = _Parser(template).block()
    return "".join(_run(nodes, _Scope(data, data)))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@dataclass
class _Action:
    """`word` is range, if, set, declare or show; `branches` are conditions with what follows."""

    word: str
    words: list[str]
    names: list[str] = field(default_factory=list)
    branches: list[tuple[list[str] | None, list[Any]]] = field(default_factory=list)


class _Parser:
    """Text to a tree of strings and actions."""

    def __init__(self, template: str) -> None:
        # Text and actions by turns: [text, action, text, …].
        self._parts = _ACTION.split(template)
        self._at = 0

    def block(self, inside: bool = False) -> list[Any]:
        """What comes up to the `end` or `else` that belongs to somebody else."""
        nodes: list[Any] = []
        while self._at < len(self._parts):
            if self._at % 2 == 0:
                nodes.append(self._parts[self._at])
            else:
                words = _WORD.findall(self._parts[self._at])
                if words[0] in {"end", "else"}:
                    if not inside:
                        raise ValueError("an end without a beginning")
                    return nodes
                nodes.append(self._action(words))
            self._at += 1
        if inside:
            raise ValueError("no end")
        return nodes

    def _action(self, words: list[str]) -> _Action:
        if words[0] == "range":  # range $i , $m := X
            inner = _Action("range", words[5:], [words[1], words[3]])
            self._at += 1
            inner.branches.append((None, self.block(inside=True)))
            return inner
        if words[0] == "if":
            return self._choice(words[1:])
        if words[1:2] in ([":="], ["="]):
            return _Action("declare" if words[1] == ":=" else "set", words[2:], words[:1])
        return _Action("show", words)

    def _choice(self, words: list[str]) -> _Action:
        choice = _Action("if", [])
        condition: list[str] | None = words
        while True:
            self._at += 1
            choice.branches.append((condition, self.block(inside=True)))
            end = _WORD.findall(self._parts[self._at])
            if end == ["end"]:
                return choice
            condition = end[2:] or None  # else if X, or else


@dataclass
class _Scope:
    """Where an action runs: the dot, the data as a whole, and the variables seen from there."""

    dot: Any
    data: Any
    values: dict[str, Any] = field(default_factory=dict)
    outer: "_Scope | None" = None

    def within(self, dot: Any) -> "_Scope":
        return _Scope(dot, self.data, outer=self)

    def holder(self, name: str) -> dict[str, Any]:
        """The values among which the variable stands."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values
            scope = scope.outer
        raise ValueError(f"no variable {name}")


def _run(nodes: Sequence[Any], scope: _Scope) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif node.word == "range":
            for index, item in enumerate(_value(node.words, scope)):
                inner = scope.within(item)
                inner.values |= dict(zip(node.names, (index, item), strict=True))
                yield from _run(node.branches[0][1], inner)
        elif node.word == "if":
            for condition, body in node.branches:
                if condition is None or _value(condition, scope):
                    yield from _run(body, scope.within(scope.dot))
                    break
        elif node.word == "declare":
            scope.values[node.names[0]] = _value(node.words, scope)
        elif node.word == "set":
            scope.holder(node.names[0])[node.names[0]] = _value(node.words, scope)
        else:
            yield str(_value(node.words, scope))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "not": lambda value: not value,
    "and": lambda left, right: left and right,
    "or": lambda left, right: left or right,
    "len": len,
    "slice": lambda items, start: items[start:],
}


def _value(words: Sequence[str], scope: _Scope) -> Any:
    value, rest = _call(list(words), scope)
    if rest:
        raise ValueError(f"what is {rest[0]!r} doing there?")
    return value


def _call(words: list[str], scope: _Scope) -> tuple[Any, list[str]]:
    """A function with its arguments, or a single term; and the words that follow."""
    if words[0] not in _FUNCTIONS:
        return _term(words, scope)
    function, rest = _FUNCTIONS[words[0]], words[1:]
    arguments = []
    while rest and rest[0] != ")":
        argument, rest = _term(rest, scope)
        arguments.append(argument)
    return function(*arguments), rest


def _term(words: list[str], scope: _Scope) -> tuple[Any, list[str]]:
    word, rest = words[0], words[1:]
    if word == "(":
        value, rest = _call(rest, scope)
        if rest[:1] != [")"]:
            raise ValueError("a parenthesis stays open")
        return value, rest[1:]
    if word.startswith('"'):
        return json.loads(word), rest
    if word in {"true", "false"}:
        return word == "true", rest
    if word.isdigit():
        return int(word), rest
    if word.startswith("$."):
        return scope.data[word[2:]], rest
    if word.startswith("."):
        return scope.dot[word[1:]], rest
    if word.startswith("$"):
        return scope.holder(word)[word], rest
    raise ValueError(f"{word!r} is not known here")
