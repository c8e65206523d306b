"""Where the checks look: files, libraries, other programs, the terminal."""

import os
import subprocess
from functools import cached_property
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from trainer_core.hardware.doctor.driver import Driver, read_driver

# Longer than any program here takes; one that hangs must not hang us.
COMMAND_SECONDS = 2.0


class Surroundings:
    """This machine; or one that a test lays out under `root` (/etc, /proc, /sys…), `libraries`
    (folders that packages are installed in; Python's own if None) and `driver`.

    What is expensive to learn is learned once.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        libraries: list[str] | None = None,
        driver: Driver | None = None,
    ) -> None:
        self.root = root
        self._libraries = libraries
        self._driver = driver

    def read(self, path: str) -> str | None:
        """The text of a file of the system, `path` without its leading slash; None if it cannot be
        read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def run(self, *command: str) -> str | None:
        """What a program prints; None if it is missing, fails or does not end in time."""
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=COMMAND_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.decode(errors="replace").strip()

    @cached_property
    def driver(self) -> Driver:
        """NVIDIA's driver."""
        return self._driver or read_driver()

    @cached_property
    def packages(self) -> dict[str, Distribution]:
        """The installed packages by canonical name; of two of one name the one that is imported."""
        own = self._libraries
        found: dict[str, Distribution] = {}
        for package in distributions() if own is None else distributions(path=own):
            try:
                name, version = package.metadata["Name"], package.version
            except (OSError, ValueError, KeyError):
                continue  # what was left of a package when something broke off
            if name and version:
                found.setdefault(canonicalize_name(name), package)
        return found

    @cached_property
    def versions(self) -> dict[str, str]:
        """The version of each installed package."""
        return {name: package.version for name, package in self.packages.items()}

    @cached_property
    def terminal(self) -> os.terminal_size | None:
        """The size of our terminal in cells; None where there is none."""
        for stream in (2, 1, 0):  # by number: the dashboard puts others in the place of sys.stdout
            try:
                return os.get_terminal_size(stream)
            except OSError:
                continue
        return None


def short_path(path: Path) -> str:
    """A path as a person would type it here: from the working folder, or from the home folder."""
    for start, sign in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(start) and path != start:
            return f"{sign}{path.relative_to(start)}"
    return str(path)
