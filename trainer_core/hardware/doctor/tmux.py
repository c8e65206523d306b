"""tmux and screen: what they keep from the terminal."""

import os
import re
from collections.abc import Iterator

from trainer_core.hardware.doctor.finding import Finding, note, ok
from trainer_core.hardware.doctor.surroundings import Surroundings

AREA = "tmux"
# Longer, and Esc feels dead.
ESCAPE_MS = 100
# RGB as a feature of terminals came with 3.2, allow-passthrough with 3.3.
FEATURES = (3, 2)
PASSTHROUGH = (3, 3)


def look(place: Surroundings) -> Iterator[Finding]:
    """Nothing outside of both: a run needs neither."""
    if os.environ.get("TMUX"):
        yield from _tmux(place)
    elif os.environ.get("STY"):
        yield note(
            AREA,
            "This is GNU screen, which passes neither the clipboard nor 24-bit colours on.",
            "tmux passes both; a run needs neither.",
        )


def _tmux(place: Surroundings) -> Iterator[Finding]:
    version = place.run("tmux", "-V")
    server = _options(place.run("tmux", "show-options", "-s"))
    windows = _options(place.run("tmux", "show-options", "-gw"))
    if version is None or not server:
        yield note(
            AREA,
            "TMUX is set, and tmux does not answer.",
            "Outside of tmux, take the variable away.",
            "unset TMUX",
        )
        return
    yield ok(AREA, f"This is {version}.")
    number = _number(version)
    if server.get("set-clipboard") != "on":
        yield note(
            AREA,
            f"What the dashboard copies stays inside tmux (set-clipboard "
            f"{server.get('set-clipboard', 'off')}).",
            "Let it through, here and in ~/.tmux.conf:",
            "tmux set -s set-clipboard on",
        )
    delay = server.get("escape-time", "")
    if delay.isdecimal() and int(delay) > ESCAPE_MS:
        yield note(
            AREA,
            f"tmux waits {delay} ms after Esc (escape-time).",
            "Shorten it, here and in ~/.tmux.conf:",
            "tmux set -s escape-time 10",
        )
    if server.get("focus-events") == "off":
        yield note(
            AREA,
            "tmux does not say which pane is looked at (focus-events off).",
            "Let it, here and in ~/.tmux.conf:",
            "tmux set -s focus-events on",
        )
    if number >= PASSTHROUGH and windows.get("allow-passthrough", "off") == "off":
        yield note(
            AREA,
            "tmux drops notices to the desktop; the bell comes through (allow-passthrough off).",
            "Let them through, here and in ~/.tmux.conf:",
            "tmux set -gw allow-passthrough on",
        )
    yield from _colours(place, number)


def _colours(place: Surroundings, number: tuple[int, int]) -> Iterator[Finding]:
    """24 bits need both: a program that sends them, and a tmux that passes them on."""
    if os.environ.get("NO_COLOR"):
        return
    sends = os.environ.get("COLORTERM", "").strip().lower() in {"truecolor", "24bit"}
    passes = place.run("tmux", "display-message", "-p", "#{client_termfeatures}") or ""
    if not passes:  # nobody is attached, or this tmux does not know
        return
    if "RGB" not in passes.split(","):
        yield note(
            AREA,
            "tmux turns 24-bit colours into 256.",
            "If the terminal has them, say so here and in ~/.tmux.conf, and attach again:",
            "tmux set -sa terminal-features ',*:RGB'"
            if number >= FEATURES
            else "tmux set -sa terminal-overrides ',*:Tc'",
        )
    elif not sends:
        yield note(
            AREA,
            "tmux passes 24-bit colours on, and COLORTERM does not say that there are any.",
            "For the full colours:",
            "export COLORTERM=truecolor",
        )


def _options(printed: str | None) -> dict[str, str]:
    """`name value` lines; what has several values has several lines, of which one is enough."""
    lines = [line.partition(" ") for line in (printed or "").splitlines()]
    return {name: value.strip('"') for name, _, value in lines}


def _number(version: str) -> tuple[int, int]:
    """`tmux 3.3a` as (3, 3); a development version is taken for new."""
    found = re.search(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (99, 0)
