"""The Python that runs us, and the system under it."""

import platform
import sys
from collections.abc import Iterator

from trainer_core.hardware.doctor.finding import Finding, note, ok, problem
from trainer_core.hardware.doctor.surroundings import Surroundings

AREA = "python"
OLDEST = (3, 11)


def look(_: Surroundings) -> Iterator[Finding]:
    """Its version, its width, and a system on which this has never run."""
    yield _version(sys.version_info[:3])
    if sys.maxsize < 2**32:
        yield problem(
            AREA,
            "This Python has 32 bits, and torch is built for 64 only.",
            "Install a 64-bit Python, and backprop in it.",
        )
    if sys.platform == "win32":
        yield note(
            AREA,
            "This is Windows, where nothing has been run yet.",
            "Inside WSL it is Linux, where this runs every day.",
            "wsl --install",
        )


def _version(version: tuple[int, ...]) -> Finding:
    words = ".".join(map(str, version))
    if version < OLDEST:
        return problem(
            AREA,
            f"Python {words} is older than 3.11.",
            "Install Python 3.11 or newer, and backprop in it.",
        )
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return ok(AREA, f"Python {words} on {system}.")
