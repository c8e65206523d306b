"""Single values as YAML text, to be put into a file that a person wrote."""

import re
from typing import Any

import yaml

from trainer_core.config.yaml_file import CoreDumper

WIDTH = 100


class _Writer(CoreDumper):
    """Writes numbers and strings as a person would, each on a line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists are indented under their key."""
        del indentless
        super().increase_indent(flow, False)


def _string(writer: _Writer, value: str) -> yaml.Node:
    style = None if value.isprintable() else '"'
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style)


def _number(writer: _Writer, value: float) -> yaml.Node:
    """2e-5, where YAML's own way is 2.0e-05."""
    text = re.sub(r"e([+-]?)0*(\d)", r"e\1\2", repr(value)).replace("e+", "e")
    special = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}
    return writer.represent_scalar("tag:yaml.org,2002:float", special.get(text, text))


_Writer.add_representer(str, _string)
_Writer.add_representer(float, _number)


def inline(value: Any, flow: bool = False) -> str:
    """`value` on one line; `flow` where it stands inside brackets, which asks for more quotes."""
    if isinstance(value, int):
        return str(value).lower()  # true and false too
    if flow:
        return _dump([value], True)[1:-1]
    if isinstance(value, dict | list):
        return _dump(value, True)
    return _dump({"k": value}, False).removeprefix("k: ")


def block(value: dict[str, Any] | list[Any]) -> list[str]:
    """A mapping or list, not empty, as lines without indentation."""
    if isinstance(value, dict):
        return _dump(value, False).split("\n")
    return [line[2:] for line in _dump({"k": value}, False).split("\n")[1:]]


def _dump(value: Any, flow: bool) -> str:
    text: str = yaml.dump(
        value,
        Dumper=_Writer,
        default_flow_style=flow,
        width=float("inf"),
        allow_unicode=True,
        sort_keys=False,
        line_break="\n",
    )
    return text.removesuffix("\n")
