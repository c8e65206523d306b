"""Checkpoints as folders: written beside, named last, looked at before they are used.

A checkpoint is a temporary folder until its manifest (the SHA-256 of every file) is written, all of
it is on the disk and the folder renamed, so what is called `step-N` was whole. Whether it still is,
the manifest says.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from trainer_core.errors import UserError
from trainer_core.files import put_folder, sync_folder

FORMAT = 2
MANIFEST = "manifest.json"
_NAME = re.compile(r"^step-(\d+)$")
_ASIDE = "damaged"


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name."""
    match = _NAME.match(checkpoint.name)
    if match is None:
        raise ValueError(f"{checkpoint} is not a checkpoint")
    return int(match.group(1))


def list_checkpoints(folder: Path) -> list[Path]:
    """What is called a checkpoint in `folder`, oldest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.match(path.name)), key=step_of)


def damage(checkpoint: Path) -> str:
    """What is wrong with a checkpoint; empty if it is whole. Raises UserError if another version
    of this program made it: then it is of use to that one."""
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise UserError(
                f"{checkpoint} has format {manifest['format']!r}, this version reads {FORMAT}",
                hint="Go on with the version that began the run, or start anew in another folder.",
            )
        for name, expected in manifest["files"].items():
            if _digest(checkpoint / name) != expected:
                return f"{name} is not what was saved"
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"its manifest cannot be read: {error}"
    return ""


def set_aside(checkpoint: Path) -> Path:
    """Keep a damaged checkpoint under a name that nothing reads; returns its new place."""
    number = 1
    while (place := checkpoint.with_name(f"{_ASIDE}-{checkpoint.name}-{number}")).exists():
        number += 1
    checkpoint.rename(place)
    return place


def clear_half_made(folder: Path) -> None:
    """Remove what a save that was cut off has left."""
    if folder.is_dir():
        for path in folder.glob(".step-*"):
            shutil.rmtree(path, ignore_errors=True)


def write_checkpoint(folder: Path, step: int, fill: Callable[[Path], None]) -> Path:
    """Make the checkpoint of `step` in `folder`, of what `fill` writes into the folder it is given.

    Returns its place when it is on the disk and reads back as it was written. Raises OSError, and
    whatever `fill` raises; then what was there before is there still.
    """
    final, temporary = folder / f"step-{step}", folder / f".step-{step}.new"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        fill(temporary)
        _seal(temporary)
        put_folder(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(folder)
    wrong = damage(final)
    if wrong:
        raise OSError(f"{final} does not read back as it was written: {wrong}")
    return final


def prune(folder: Path, keep: int, also: Collection[int | None]) -> None:
    """Remove all but the newest `keep` checkpoints and those of the steps in `also`."""
    checkpoints = list_checkpoints(folder)
    for path in checkpoints[: max(0, len(checkpoints) - keep)]:
        if step_of(path) not in also:
            shutil.rmtree(path, ignore_errors=True)


def _seal(folder: Path) -> None:
    """Write the manifest and wait until all of the folder is on the disk."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): _digest(path) for path in files}
    manifest = {"format": FORMAT, "files": digests}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for path in [*files, folder / MANIFEST]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    for path in [*(path for path in folder.rglob("*") if path.is_dir()), folder]:
        sync_folder(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
