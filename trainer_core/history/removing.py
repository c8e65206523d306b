"""Removing runs, or the checkpoints that nobody needs any more."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trainer_core.errors import LockedError, UserError
from trainer_core.files import size_of
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import (
    RunEntry,
    delete_folder,
    forget,
    require_removable,
    runs_within,
)
from trainer_core.runs.status import read_status, take_lock

_STEP = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class Removal:
    """What goes of a run: these `checkpoints`, or all of it where that is None; `size` in bytes."""

    entry: RunEntry
    size: int
    checkpoints: tuple[Path, ...] | None = None


def removal_of(
    entry: RunEntry, within: Mapping[Path, Path] | None = None, *, checkpoints_only: bool = False
) -> Removal:
    """What would go with a run; `within` as for `require_removable`. Raises LockedError while it
    lives, UserError for what is no run."""
    require_removable(entry, within)
    if not checkpoints_only:
        return Removal(entry, size_of(entry.folder.path))
    spare = tuple(_spare_checkpoints(entry))
    return Removal(entry, sum(size_of(path) for path in spare), spare)


def remove(*removals: Removal, told: Callable[[Removal], object] = lambda _: None) -> None:
    """Do them, one after the other; each that is done is `told`. Raises LockedError where a run
    lives again, UserError where it cannot be done; the earlier ones are done then."""
    within, gone = runs_within(), set[Path]()
    try:
        for removal in removals:
            if removal.checkpoints is None:
                gone |= delete_folder(removal.entry, within)
            else:
                _remove_checkpoints(removal.entry, removal.checkpoints, within)
            told(removal)
    finally:
        forget(gone)


def removable(entry: RunEntry, within: Mapping[Path, Path] | None = None) -> bool:
    """Whether it is a run that has ended."""
    try:
        require_removable(entry, within)
    except (LockedError, UserError):
        return False
    return True


def _remove_checkpoints(
    entry: RunEntry, listed: tuple[Path, ...], within: Mapping[Path, Path]
) -> None:
    require_removable(entry, within)
    folder = entry.folder
    try:
        lock = take_lock(folder)  # nobody goes on meanwhile from what goes
    except OSError as error:
        raise UserError(f"{folder.path} cannot be locked: {error.strerror or error}") from None
    try:
        for path in _still_spare(entry, listed):
            _remove_checkpoint(path)
    finally:
        lock.release()


def _spare_checkpoints(entry: RunEntry) -> Iterator[Path]:
    """Each checkpoint, those of a multi-run's runs and of its baselines too. Of a run that has not
    finished the newest whole one in each place stays: it goes on from there."""
    folder = entry.folder.path.resolve()
    places = [folder, *folder.glob("run-*"), *folder.glob("compare/*/run-*")]
    for place in (RunFolder(path).checkpoints for path in places):
        if not place.is_dir() or place.resolve() != place:
            continue  # what a link leads to is somebody else's
        found = [path for path in place.iterdir() if path.is_dir() and not path.is_symlink()]
        whole = {
            int(match[1]): path
            for path in found
            if (match := _STEP.fullmatch(path.name)) and (path / "manifest.json").is_file()
        }
        kept = whole[max(whole)] if whole and entry.status.state != "finished" else None
        yield from (path for path in found if path != kept)


def _still_spare(entry: RunEntry, listed: tuple[Path, ...]) -> list[Path]:
    """Those of the listed ones that are still there and spare: since then the run may have gone on,
    and stopped again. What an earlier removal left when it was cut off comes first."""
    status = read_status(entry.folder) or entry.status
    return sorted({*listed} & {*_spare_checkpoints(replace(entry, status=status))})


def _remove_checkpoint(path: Path) -> None:
    gone = path.with_name(f".{path.name}.gone")
    try:
        path.rename(gone)  # a checkpoint is whole, or it is none
        shutil.rmtree(gone)
    except OSError as error:
        raise UserError(f"{path} cannot be removed: {error.strerror}") from None
