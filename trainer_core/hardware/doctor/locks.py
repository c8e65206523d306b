"""The locks of requirements/: the versions that were tested together."""

from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel

from trainer_core.config.shipped import shipped
from trainer_core.hardware.doctor.surroundings import Surroundings

# As in the Makefile and scripts/setup.sh.
LOCKS = {"cpu": ("cpu.txt", "torch-cpu.txt"), "gpu": ("gpu.txt",)}


class Difference(BaseModel):
    """An installed package that is not as in the lock."""

    name: str
    installed: str
    locked: str


def lock_folder() -> Path:
    """Where the locks are: requirements/ of a checkout, or inside the wheel."""
    return shipped("requirements")


def machine_kind(place: Surroundings) -> str:
    """Whose lock is meant for this machine: `cpu` or `gpu`."""
    return "gpu" if place.driver.installed else "cpu"


def read_lock(kind: str, folder: Path) -> dict[str, str]:
    """The locked version of each package by canonical name. Raises OSError."""
    pins: dict[str, str] = {}
    for name in LOCKS[kind]:
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            if not line.startswith(("#", " ")):
                package, _, version = line.removesuffix("\\").strip().partition("==")
                if version:
                    pins[canonicalize_name(package)] = version
    return pins


def differences(lock: dict[str, str], versions: dict[str, str]) -> list[Difference]:
    """What is installed in another version than the locked one. What is missing is not here, and
    neither is another build of the same version (2.13.0+cpu)."""
    return [
        Difference(name=name, installed=versions[name], locked=locked)
        for name, locked in lock.items()
        if name in versions and _public(versions[name]) != _public(locked)
    ]


def _public(version: str) -> str:
    try:
        return Version(version).public
    except InvalidVersion:
        return version
