"""Texts that data, logs and models could hold to command a terminal, the dashboard or a reader.

Every place that shows text from outside is tried with all of them: a test writes `payload` into a
row, a log line, a name; `commands` says what must not reach the screen. They are named, so that a
failing test says which kind got through.
"""

import re

PAYLOADS: dict[str, str] = {
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "clipboard, ended by ST": "\x1b]52;c;ZXZpbA==\x1b\\",
    "window title": "\x1b]0;root@prod\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "notification": "\x1b]777;notify;title;text\x07",
    "clear the screen": "\x1b[2J\x1b[H",
    "colours": "\x1b[31;5mred\x1b[0m",
    "colours by a C1 byte": "\x9b31mred",
    "OSC by a C1 byte": "\x9d0;title\x9c",
    "leave the alternate screen": "\x1b[?1049l",
    "ask for an answer": "\x1b[6n\x1b[c\x05",
    "device control": '\x1bP$q"p\x1b\\',
    "sequence never ended": "before \x1b]52;c;ZXZpbA== after",
    "escape within an escape": "\x1b\x1b[31m[31m",
    "reset": "\x1bc",
    "overwrite the line": "harmless\rrm -rf \b\b\b\x7f",
    "bell and null": "ring\x07 null\x00",
    "reversed": "user\u202egnp.exe\u202c",
    "hidden": "pay\u200bload\u2066\ufeff\U000e0041",
    "lone surrogate": "half \ud83d a letter",
    "markup that acts": "[@click=app.quit]x[/]",
    "markup that does not close": "[/INST] [bold",
    "markup of rich": "[link=file:///etc/passwd]x[/link] [red]y",
}

# What a terminal obeys or is fooled by. A newline and the escape sequences that the program itself
# writes are the business of whoever scans a real terminal's bytes.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069"
    "\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
# Sequences that none of our own screens ever writes: bytes of a payload in a terminal's stream.
NEVER_WRITTEN: tuple[bytes, ...] = (
    b"\x1b]52;c;ZXZpbA==",
    b"\x1b]0;root@prod",
    b"\x1b]8;;http://evil.example",
    b"\x1b]777;notify;title",
    b"\x1b[31;5m",
    b"\x1b[6n\x1b[c",
    b"\x1bP$q",
    b"\x1bc",
    "\x9b31m".encode(),
    "\x9d0;title".encode(),
    "\u202e".encode(),
    "\u200b".encode(),
    "\u2066".encode(),
    "\ufeff".encode(),
    "\U000e0041".encode(),
)


def commands(shown: str) -> list[str]:
    """What in a text that was shown a terminal would obey, or a reader be fooled by."""
    return _OBEYED.findall(shown)
