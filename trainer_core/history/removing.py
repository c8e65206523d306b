"""Removing runs, or the checkpoints that nobody needs any more."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer_core.errors import LockedError, UserError
from trainer_core.files import size_of
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import RunEntry, delete_run, require_removable

_STEP = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class Removal:
    """What goes of a run: these `checkpoints`, or all of it where that is None; `size` in bytes."""

    entry: RunEntry
    size: int
    checkpoints: tuple[Path, ...] | None = None


def removal_of(entry: RunEntry, *, checkpoints_only: bool = False) -> Removal:
    """What would go with a run. Raises LockedError while it lives, UserError for what is no run."""
    require_removable(entry)
    if not checkpoints_only:
        return Removal(entry, size_of(entry.folder.path))
    spare = tuple(_spare_checkpoints(entry))
    return Removal(entry, sum(size_of(path) for path in spare), spare)


def remove(removal: Removal) -> None:
    """Do it. Raises LockedError where the run lives again, UserError where it cannot be done."""
    if removal.checkpoints is None:
        delete_run(removal.entry)
        return
    require_removable(removal.entry)
    for path in removal.checkpoints:
        gone = path.with_name(f".{path.name}.gone")
        try:
            path.rename(gone)  # a checkpoint is whole, or it is none
            shutil.rmtree(gone)
        except OSError as error:
            raise UserError(f"{path} cannot be removed: {error.strerror}") from None


def removable(entry: RunEntry) -> bool:
    """Whether it is a run that has ended."""
    try:
        require_removable(entry)
    except (LockedError, UserError):
        return False
    return True


def _spare_checkpoints(entry: RunEntry) -> Iterator[Path]:
    """Each checkpoint, those of a multi-run's runs and of its baselines too. Of a run that has not
    finished the newest whole one in each place stays: it goes on from there."""
    folder = entry.folder.path
    places = [folder, *folder.glob("run-*"), *folder.glob("compare/*/run-*")]
    for place in (RunFolder(path).checkpoints for path in places):
        if place.is_symlink() or not place.is_dir():
            continue  # what a link leads to is somebody else's
        found = [path for path in place.iterdir() if path.is_dir() and not path.is_symlink()]
        whole = {
            int(match[1]): path
            for path in found
            if (match := _STEP.fullmatch(path.name)) and (path / "manifest.json").is_file()
        }
        kept = whole[max(whole)] if whole and entry.status.state != "finished" else None
        yield from (path for path in found if path != kept)
