"""Terminals that show ASCII only: what is drawn is put into ASCII on its way out, in one place. And
what those who take the colours out need."""

import os
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_SYMBOLS = str.maketrans(
    "─━═╌┄╸│┃║▏▎▍▌▕▁▂▃▄▅▆▇█░▶✔✖■‖◌◍…·–—×→⏎°⟨⟩▸▾",
    "-=---=||||||||_.-=+*%#.>+x#|oo..--x>< <>>v",
)


def shows_unicode(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal can be expected to show more than ASCII.

    LC_CTYPE comes last: Python itself sets it to C.UTF-8 where LANG is C. Nothing set at all is
    usual over SSH, from terminals that know UTF-8. The Linux console has neither blocks nor
    braille.
    """
    names = (environment.get(name, "") for name in ("LC_ALL", "LANG", "LC_CTYPE"))
    chosen = next((name for name in names if name), "C.UTF-8").lower().replace("-", "")
    return "utf8" in chosen and environment.get("TERM") != "linux"


class AsciiFilter(LineFilter):
    """Replaces every character outside ASCII by one that says about the same, width for width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """The segments in ASCII."""
        return [Segment(in_ascii(text), style, control) for text, style, control in segments]


class StyledFilter(LineFilter):
    """Gives every segment a style. A plot that has nothing to draw yet leaves some without, and the
    filter that takes the colours out fails there."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """The same segments."""
        plain = Style.null()
        return [Segment(text, style or plain, control) for text, style, control in segments]


@lru_cache(maxsize=4096)
def in_ascii(text: str) -> str:
    """`text` in ASCII, as wide as it was."""
    if text.isascii():
        return text
    return "".join(
        character if character.isascii() else _nearest(character)
        for character in text.translate(_SYMBOLS)
    )


def _nearest(character: str) -> str:
    code = ord(character)
    if 0x2800 <= code <= 0x28FF:  # braille: the more dots, the darker
        return " ..:::###"[(code - 0x2800).bit_count()]
    if 0x2500 <= code <= 0x257F:  # corners and crossings of boxes
        return "+"
    if 0x2580 <= code <= 0x259F:  # blocks
        return "#"
    letter = unicodedata.normalize("NFKD", character)[0]
    return letter if letter.isascii() and letter.isprintable() else "?" * cell_len(character)
