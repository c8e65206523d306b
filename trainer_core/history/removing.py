"""Removing runs, or of them what nobody needs any more."""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

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

# A whole run; its checkpoints; all but what it trained and what it knows of that.
What = Literal["all", "checkpoints", "rest"]
# The latter: whoever answers with what was trained, exports it or trains on from it needs no more,
# and the history and the report miss nothing. What trackers were told stays, or they would be told
# it again.
_KEPT = re.compile(
    r"adapter|model|config\.yaml|resolved(\.\d+)?\.yaml|(identity|provenance|replay|status)\.json"
    r"|events\.jsonl|training|curves|report\.(md|html)|plots|tracking|lock"
)
_STEP = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class Removal:
    """What goes of a run: these `parts`, or all of it where that is None; `size` in bytes."""

    entry: RunEntry
    size: int
    what: What = "all"
    parts: tuple[Path, ...] | None = None


def removal_of(
    entry: RunEntry, within: Mapping[Path, Path] | None = None, what: What = "all"
) -> Removal:
    """What would go with a run; `within` as for `require_removable`. Raises LockedError while it
    lives, UserError for what is no run, or needs the rest to go on."""
    require_removable(entry, within)
    if what == "all":
        return Removal(entry, size_of(entry.folder.path))
    parts = tuple(_parts(entry, what))
    return Removal(entry, sum(map(_size_of_part, parts)), what, parts)


def remove(*removals: Removal, told: Callable[[Removal], object] = lambda _: None) -> None:
    """Do them, one after the other; each that is done is `told`. Raises LockedError where a run
    lives again, UserError where it cannot be done; the earlier ones are done then."""
    within, gone = runs_within(), set[Path]()
    try:
        for removal in removals:
            if removal.parts is None:
                gone |= delete_folder(removal.entry, within)
            else:
                _remove_parts(removal, removal.parts, within)
            told(removal)
    finally:
        forget(gone)


def removable(
    entry: RunEntry, within: Mapping[Path, Path] | None = None, what: What = "all"
) -> bool:
    """Whether it is a run that has ended; for its rest to go, by itself."""
    try:
        require_removable(entry, within)
    except (LockedError, UserError):
        return False
    return what != "rest" or entry.status.state == "finished"


def _remove_parts(removal: Removal, listed: tuple[Path, ...], within: Mapping[Path, Path]) -> None:
    require_removable(removal.entry, within)
    folder = removal.entry.folder
    try:
        lock = take_lock(folder)  # nobody goes on meanwhile from what goes
    except OSError as error:
        raise UserError(f"{folder.path} cannot be locked: {error.strerror or error}") from None
    try:
        # Since they were listed, the run may have gone on and stopped again.
        entry = replace(removal.entry, status=read_status(folder) or removal.entry.status)
        still = {*listed} & {*_parts(entry, removal.what)}
        for path in sorted(still):  # what an earlier removal left when it was cut off comes first
            _remove_part(path)
    finally:
        lock.release()


def _parts(entry: RunEntry, what: What) -> Iterator[Path]:
    return _spare_checkpoints(entry) if what == "checkpoints" else _rest(entry)


def _rest(entry: RunEntry) -> Iterator[Path]:
    """All but what a run trained and what it knows of that."""
    if entry.status.state != "finished":
        raise UserError(
            f"{entry.id} has not finished, and goes on from what would go",
            hint="--checkpoints-only leaves it that.",
        )
    folder = entry.folder.path.resolve()
    yield from (path for path in folder.iterdir() if not _KEPT.fullmatch(path.name))


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


def _size_of_part(path: Path) -> int:
    return 0 if path.is_symlink() else size_of(path)


def _remove_part(path: Path) -> None:
    gone = path.with_name(f".{path.name}.gone")
    try:
        path.rename(gone)  # a checkpoint is whole, or it is none
        if gone.is_dir() and not gone.is_symlink():
            shutil.rmtree(gone)
        else:
            gone.unlink()
    except OSError as error:
        raise UserError(f"{path} cannot be removed: {error.strerror}") from None
