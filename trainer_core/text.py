"""The one sanitiser for text that came from data, logs or models.

Terminals obey escape sequences wherever they appear, and Textual passes them on, so everything from
outside goes through `clean` once before a widget, a log line or a report sees it. What is trained
on is never changed: this is for display only.
"""

import json
import re

# C0 (but tab and newline), DEL, C1, and the bidirectional and invisible format controls that can
# make a line read as something else.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
# A whole escape sequence goes at once, so that no "[31m" stays behind as litter: CSI, then OSC,
# DCS, APC, PM and SOS up to their terminator, then two-byte escapes.
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[@-Z\\-_ -/0-~]"
)


def clean(text: str, *, limit: int | None = None) -> str:
    """`text` without control bytes; tabs become spaces, newlines stay.

    Escape sequences vanish, other unsafe characters become U+FFFD. With `limit` (characters),
    longer text is cut and ends in an ellipsis.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", _ESCAPE.sub("", text))


def one_line(text: str, *, limit: int | None = None) -> str:
    """`clean` text on a single line, for table cells, titles and log lines."""
    return clean(" ".join(text.split()), limit=limit)


def visible(text: str) -> str:
    """`text` with U+FFFD for each character that `clean` would take out, tabs and newlines as they
    are: as long as before, for what is being typed."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def clean_json(line: str) -> str:
    """The same JSON, with what `clean` takes out written as escapes: for machines, and harmless on
    a terminal."""
    return _UNSAFE.sub(lambda unsafe: json.dumps(unsafe[0])[1:-1], line)


def duration(seconds: float) -> str:
    """A span of time as a person says it: `42 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`."""
    total = max(0, round(seconds))
    if total < 60:
        return f"{total} s"
    minutes, rest = divmod(total, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def size(count: float) -> str:
    """Bytes as a person says them, in powers of 1024: `812 B`, `3.4 MiB`, `11.9 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024 or unit == "GiB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def one_of(words: list[str]) -> str:
    """`a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
