"""All checks, one after the other."""

from collections.abc import Callable, Iterable

from trainer_core.hardware.doctor import (
    cores,
    disk,
    extras,
    folders,
    gpu,
    libraries,
    limits,
    login,
    memory,
    power,
    python,
    secrets,
    terminal,
    tmux,
)
from trainer_core.hardware.doctor.finding import Finding, note
from trainer_core.hardware.doctor.surroundings import Surroundings

Check = Callable[[Surroundings], Iterable[Finding]]
CHECKS: dict[str, Check] = {
    module.AREA: module.look
    for module in (
        python,
        gpu,
        libraries,
        extras,
        memory,
        cores,
        disk,
        folders,
        limits,
        terminal,
        tmux,
        login,
        power,
        secrets,
    )
}


def examine(place: Surroundings | None = None, checks: dict[str, Check] = CHECKS) -> list[Finding]:
    """Look at everything; takes about half a second, and much longer only where a disk hangs.

    A check that fails becomes a note, and the others are done all the same.
    """
    place = place or Surroundings()
    return [finding for area, look in checks.items() for finding in _careful(area, look, place)]


def _careful(area: str, look: Check, place: Surroundings) -> list[Finding]:
    found: list[Finding] = []
    try:
        for finding in look(place):  # what was found before it fails stays
            found.append(finding)
    except Exception as error:
        found.append(
            note(
                area,
                f"This could not be looked at: {type(error).__name__}: {error}".rstrip(": "),
                "The rest was; if this system is nothing special, report it as a bug.",
            )
        )
    return found
