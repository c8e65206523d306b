"""Files and folders on the disk: replaced so that a crash leaves the old or the new one and never
half of either, removed, measured."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, data: bytes, *, durable: bool = False, mode: int = 0o644) -> None:
    """Write `data` beside `path` and rename it into place; `durable` also waits for the disk."""
    write_parts_atomically(path, (data,), durable=durable, mode=mode)


def write_parts_atomically(
    path: Path, parts: Iterable[bytes], *, durable: bool = False, mode: int = 0o644
) -> None:
    """The same, a part at a time; where a part cannot be made, `path` stays as it was."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(parts)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def put_folder(made: Path, folder: Path) -> None:
    """Make the folder `made`, which lies beside it, `folder`: there is always a whole one, except
    for the moment between two renames."""
    if not folder.exists():
        made.rename(folder)
        return
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)
    made.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def copy_folder(source: Path, folder: Path) -> None:
    """Make `folder` a copy of `source`, in place of what was there. Files that are only ever
    replaced share their bytes on disk, where it can."""
    made = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, made, copy_function=_link)
    put_folder(made, folder)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def remove_folder(folder: Path) -> None:
    """Remove a folder and what is in it; under another name, so that nobody adds to it meanwhile.
    What cannot be removed stays."""
    with suppress(OSError):
        folder = folder.rename(folder.with_name(f"{folder.name}.gone"))
    shutil.rmtree(folder, ignore_errors=True)


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files in a folder; links are not followed, and what is not
    there has none."""
    total, found = 0, [str(path)] if path.is_file() else _files_in(path)
    for name in found:
        with suppress(OSError):
            facts = os.lstat(name)
            total += facts.st_size if stat.S_ISREG(facts.st_mode) else 0
    return total


def _files_in(folder: Path) -> Iterator[str]:
    # Not by Path: a run has very many files.
    for place, _, names in os.walk(folder):
        yield from (os.path.join(place, name) for name in names)  # noqa: PTH118


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable (where the system can open a folder)."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
