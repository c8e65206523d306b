"""What the terminal can show."""

import os
from collections.abc import Iterator

from trainer_core.hardware.doctor.finding import Finding, note, ok, warning
from trainer_core.hardware.doctor.surroundings import Surroundings

AREA = "terminal"
COLUMNS, ROWS = 80, 24


def look(place: Surroundings) -> Iterator[Finding]:
    """Whether there is one, its kind and colours, its characters, its size."""
    size = place.terminal
    if size is None:
        yield note(
            AREA,
            "There is no terminal here; runs are shown as text.",
            "The dashboard opens in a terminal: ssh -t, docker run -it.",
        )
        return
    kind = os.environ.get("TERM", "")
    if kind in {"", "dumb"}:
        yield warning(
            AREA,
            f"TERM is {kind or 'not set'}, so the dashboard cannot be drawn.",
            "Say what the terminal is; nearly all understand:",
            "export TERM=xterm-256color",
        )
        return
    yield _colours(kind)
    yield _characters(kind)
    yield _size(size)


def _colours(kind: str) -> Finding:
    if os.environ.get("NO_COLOR"):
        return ok(AREA, f"TERM is {kind}; NO_COLOR is set, so nothing is coloured.")
    if os.environ.get("COLORTERM", "").strip().lower() in {"truecolor", "24bit"}:
        return ok(AREA, f"TERM is {kind}, with 24-bit colours.")
    last = kind.rpartition("-")[2]
    if last in {"256color", "kitty"}:
        return ok(AREA, f"TERM is {kind}, with 256 colours.")
    return note(
        AREA,
        f"TERM is {kind}, which promises {16 if last == '16color' else 8} colours.",
        "Nearly every terminal has more:",
        "export TERM=screen-256color"
        if kind.startswith("screen")
        else "export TERM=xterm-256color",
    )


def _characters(kind: str) -> Finding:
    """As tui/plain.py decides what to draw: LC_CTYPE last, since Python itself sets it."""
    names = (os.environ.get(name, "") for name in ("LC_ALL", "LANG", "LC_CTYPE"))
    locale = next((name for name in names if name), "")
    if kind == "linux":
        return note(
            AREA,
            "This is the Linux console, which has few characters; the dashboard is drawn in ASCII.",
            "Come over SSH, or from a terminal in a window, for the full plots.",
        )
    if locale and "utf8" not in locale.lower().replace("-", ""):
        return note(
            AREA,
            f"The locale is {locale}, not UTF-8; the dashboard is drawn in ASCII.",
            "If the terminal shows UTF-8:",
            "export LC_ALL=C.UTF-8",
        )
    return ok(AREA, f"The locale is {locale or 'not set; UTF-8 is taken'}.")


def _size(size: os.terminal_size) -> Finding:
    words = f"{size.columns}x{size.lines}"
    if size.columns < COLUMNS or size.lines < ROWS:
        return note(
            AREA,
            f"The terminal is {words}, smaller than {COLUMNS}x{ROWS}.",
            "Enlarge the window, or take a smaller font.",
        )
    return ok(AREA, f"The terminal is {words}.")
