"""Masks of file names: earlier tools had regular expressions where globs were meant."""

import re

_PIECES = re.compile(r"\.\*|\.\+|\\[^\w]|\.|[\w -]")
_GLOBS = {".*": "*", ".+": "?*", ".": "?"}


def is_regex(mask: str) -> bool:
    """Whether a mask makes sense as a regular expression only."""
    return "\\" in mask or mask.startswith(("^", ".*")) or mask.endswith("$")


def as_glob(regex: str) -> str | None:
    r"""The glob that fits what a simple regular expression does, as `*.txt` does for `.*\.txt$`;
    None for others. It must say how names begin, and how they end."""
    begins = regex.startswith(("^", ".*"))
    ends = regex.endswith(("$", ".*")) or re.search(r"\\\.\w+$", regex)
    body = regex.removeprefix("^").removesuffix("$")
    pieces = _PIECES.findall(body)
    if not (begins and ends) or "".join(pieces) != body:
        return None
    return "".join(_GLOBS.get(piece, piece.removeprefix("\\")) for piece in pieces)
