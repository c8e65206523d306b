"""Installed libraries: what is known to fail, what they ask of each other, and the lock."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from trainer_core.hardware.doctor.finding import Finding, Level, note, ok, warning
from trainer_core.hardware.doctor.locks import (
    LOCKS,
    Difference,
    differences,
    lock_folder,
    machine_kind,
    read_lock,
)
from trainer_core.hardware.doctor.surroundings import Surroundings, short_path

AREA = "libraries"
NAMED_AT_MOST = 6
# What trains. Only what is asked of these counts: Unsloth's metadata also ask for packages that a
# CPU does not need, and for a certifi newer than the newest.
TRAINING = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "bitsandbytes")


@dataclass(frozen=True)
class KnownBad:
    """Versions of a library that fail, or are not safe; `without` names what would mend it."""

    name: str
    versions: str
    level: Level
    why: str
    without: str = ""


KNOWN_BAD = (
    KnownBad(
        "trl",
        ">=1.15.0,<=1.16.0",
        "problem",
        "fails as it computes the loss where Triton is missing",
        without="triton",
    ),
    KnownBad(
        "torch",
        "<2.10",
        "warning",
        "can be made to run code by a weights file from a stranger (CVE-2026-24747)",
    ),
)


def look(place: Surroundings, folder: Path | None = None) -> Iterator[Finding]:
    """What is known to fail, then conflicts, then the differences from the lock in `folder` (that
    of this installation if None)."""
    folder = folder or lock_folder()
    kind = machine_kind(place)
    lock: dict[str, str] = {}
    unread = ""
    try:
        lock = read_lock(kind, folder)
    except OSError as error:
        unread = error.strerror or str(error)
    bad = [entry for entry in KNOWN_BAD if _is_here(entry, place.versions)]
    for entry in bad:
        yield _known_bad(entry, place.versions[entry.name], lock)
    yield from _conflicts(place, lock, {entry.name for entry in bad})
    if unread:
        yield note(
            AREA,
            f"The lock {LOCKS[kind][0]} cannot be read ({unread}), so no version was compared.",
            "Install backprop anew.",
        )
    else:
        yield _against_lock(place, lock, kind, folder)


def _is_here(entry: KnownBad, versions: dict[str, str]) -> bool:
    version = versions.get(entry.name)
    if version is None or entry.without in versions:
        return False
    return SpecifierSet(entry.versions).contains(version, prereleases=True)


def _known_bad(entry: KnownBad, version: str, lock: dict[str, str]) -> Finding:
    return Finding(
        area=AREA,
        level=entry.level,
        text=f"{entry.name} {version} {entry.why}.",
        hint="Install the version of the lock.",
        command=_pin(entry.name, lock),
    )


def _conflicts(place: Surroundings, lock: dict[str, str], told: set[str]) -> Iterator[Finding]:
    """A training library in a version that another one does not allow."""
    askers: dict[str, list[str]] = defaultdict(list)
    for name in (*TRAINING, "unsloth", "unsloth-zoo"):
        package = place.packages.get(name)
        for wanted in _requirements((package.requires or []) if package else []):
            library = canonicalize_name(wanted.name)
            version = place.versions.get(library)
            if version is None or library not in TRAINING or library in told:
                continue
            refused = [str(one) for one in wanted.specifier if not one.contains(version, True)]
            if refused:
                askers[library].append(f"{name} {place.versions[name]} ({','.join(refused)})")
    for name, names in askers.items():
        yield warning(
            AREA,
            f"{name} {place.versions[name]} is not what is asked for by {', '.join(names)}.",
            "Install the version of the lock.",
            _pin(name, lock),
        )


def _requirements(lines: list[str]) -> Iterator[Requirement]:
    """What is always required, without the extras."""
    for line in lines:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield wanted


def _against_lock(place: Surroundings, lock: dict[str, str], kind: str, folder: Path) -> Finding:
    name = LOCKS[kind][0]
    found = differences(lock, place.versions)
    count = len(lock.keys() & place.versions.keys())
    if not found:
        return ok(AREA, f"All {count} libraries that the lock ({name}) names are as in it.")
    return note(
        AREA,
        f"{len(found)} of {count} libraries differ from the lock ({name}): {_named(found)}.",
        "The versions of the lock were tested together; to get them:",
        _install(kind, folder),
    )


def _named(found: list[Difference]) -> str:
    """The training libraries first, then as many as one can read."""
    ordered = sorted(found, key=lambda one: one.name not in TRAINING)
    names = [f"{one.name} {one.installed} (lock: {one.locked})" for one in ordered]
    rest = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")


def _pin(library: str, lock: dict[str, str]) -> str:
    return f"pip install --no-deps {library}=={lock[library]}" if library in lock else ""


def _install(kind: str, folder: Path) -> str:
    if (folder.parent / "Makefile").is_file():
        return f"make -B {'install-gpu' if kind == 'gpu' else 'install'}"
    return f"pip install --no-deps -r {short_path(folder / LOCKS[kind][0])}"
