"""The list of runs: runs.jsonl in the user's state folder, so commands work from any folder."""

import contextlib
import json
import platform
import shutil
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock

from trainer_core.errors import LockedError, UserError
from trainer_core.files import write_atomically
from trainer_core.runs.folder import (
    CONFIG_HEAD,
    RunFolder,
    create_run_folder,
    new_run_id,
    typed_path,
)
from trainer_core.runs.jsonl import AppendFile, read_lines
from trainer_core.runs.status import ENDED, Status, is_alive, read_status, shown_state

# Whoever changes the list is done in milliseconds.
LISTING_SECONDS = 10.0


@dataclass(frozen=True)
class RunEntry:
    """A run as listed: its folder, and its status as it is on disk now."""

    id: str
    folder: RunFolder
    status: Status
    state: str


def state_folder() -> Path:
    """Where this user's list of runs and settings are kept."""
    return platformdirs.user_state_path("backprop", appauthor=False)


def new_run(name: str, output: Path | None, config: str) -> tuple[str, RunFolder]:
    """Make and list the folder of a new run, holding `config` (YAML); returns its id and folder.

    Raises UserError if the folder cannot be used.
    """
    run_id = new_run_id(name)
    folder = create_run_folder(run_id, output)
    if output is None:
        run_id = folder.path.name  # -2, -3… where two runs start in one second
    write_config(folder, config)
    register(run_id, folder)
    return run_id, folder


def write_config(folder: RunFolder, config: str) -> None:
    """Write a run's config.yaml."""
    write_atomically(folder.config, (CONFIG_HEAD + config).encode(), durable=True)


def unfinished_run(place: Path, config: str) -> RunFolder | None:
    """The run in `place`, if it is the very one that `config` (YAML) describes and has not
    finished; None where there is no run. Raises UserError where there is another, or it has
    finished."""
    folder = RunFolder(typed_path(place))
    status = read_status(folder)
    if status is None:
        return None
    if status.state == "finished":
        raise UserError(
            f"the run in {place} has finished",
            hint="Name a new folder, or train on from it with other settings: backprop train "
            f"--resume {place} --warm --set training.steps=N",
        )
    try:
        same = folder.config.read_text(encoding="utf-8") == CONFIG_HEAD + config
    except (OSError, ValueError):
        same = False
    if same:
        return folder
    raise UserError(
        f"{place} holds a run of another config",
        hint=f"Go on with it as it was: backprop train --resume {place}; with this config from its "
        "last checkpoint: the same with --warm and --set; or name another folder.",
    )


def register(run_id: str, folder: RunFolder) -> None:
    """Add a run to the list. A list that cannot be written loses the entry, never the run."""
    line = json.dumps({"format": 1, "id": run_id, "path": str(folder.path)})
    with contextlib.suppress(OSError), _alone_with_listing() as listing:
        file = AppendFile(listing)
        try:
            file.append(line.encode())
        finally:
            file.close()


def list_runs() -> list[RunEntry]:
    """Every run whose folder still exists, newest first."""
    entries: dict[Path, RunEntry] = {}
    for path in _listed_paths():
        folder = RunFolder(path)
        status = read_status(folder)
        if status is not None:
            entries[path] = RunEntry(status.run, folder, status, shown_state(folder, status))
    return sorted(entries.values(), key=lambda entry: entry.status.created, reverse=True)


def find_run(reference: str) -> RunEntry:
    """The run that `reference` means: a path, `last`, an id, or the start of one.

    Raises UserError if there is none, or more than one.
    """
    folder = RunFolder(typed_path(reference))
    status = read_status(folder)
    if status is not None:
        return RunEntry(status.run, folder, status, shown_state(folder, status))
    runs = list_runs()
    if not runs:
        raise UserError("there are no runs yet", hint="Start one: backprop demo")
    if reference == "last":
        return runs[0]
    matches = [run for run in runs if run.id == reference] or [
        run for run in runs if run.id.startswith(reference)
    ]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise UserError(f"no run is called {reference!r}", hint="`backprop runs` lists them.")
    named = ", ".join(run.id for run in matches[:4])
    raise UserError(f"{reference!r} could be {named}", hint="Give more of the id.")


def require_removable(entry: RunEntry, within: Mapping[Path, Path] | None = None) -> None:
    """Raises LockedError while a run lives, here or perhaps on another machine, and UserError for a
    folder that is no run's, or that other runs lie in. `within` is what `runs_within` found, for
    whoever asks about many."""
    path, status = entry.folder.path, entry.status
    if is_alive(entry.folder):
        raise LockedError(f"{entry.id} is still running", hint=f"First: backprop stop {entry.id}")
    if status.state not in ENDED and status.host and status.host != platform.node():
        raise LockedError(
            f"{entry.id} is a run of {status.host}, which says that it goes on",
            hint="Remove it there.",
        )
    folder = entry.folder
    if status.job != "train" or not (folder.config.is_file() or folder.events.is_file()):
        raise UserError(f"{path} is no run's folder", hint="`backprop runs` lists the runs.")
    inner = (runs_within() if within is None else within).get(path.resolve())
    if inner is not None:
        raise UserError(f"the run {inner} lies in {path}", hint="Move it, or remove it first.")


def delete_run(entry: RunEntry) -> None:
    """Delete a run's folder and its place in the list; what its links lead to stays.

    Raises LockedError while it lives, UserError for what is no run or cannot be deleted.
    """
    forget(delete_folder(entry))


def delete_folder(entry: RunEntry, within: Mapping[Path, Path] | None = None) -> set[Path]:
    """Delete a run's folder, for whoever deletes many and then lets the list `forget` them at once:
    returns what it was called. Otherwise as `delete_run`."""
    require_removable(entry, within)
    link = entry.folder.path
    path = link.resolve()
    gone = path.with_name(f".{path.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)  # what an earlier one left when it was cut off
    try:
        path.rename(gone)  # from here on it is no run, wherever we are cut off
        if is_alive(RunFolder(gone)):  # it went on in this very moment
            gone.rename(path)
            raise LockedError(f"{entry.id} goes on", hint=f"First: backprop stop {entry.id}")
        if link.is_symlink():
            link.unlink()
        shutil.rmtree(gone)
    except OSError as error:
        raise UserError(f"{path} cannot be deleted: {error.strerror}") from None
    return {link, path}


def forget(gone: Set[Path]) -> None:
    """Take runs out of the list whose folders were deleted, where no other has begun there since.
    A list that cannot be written keeps them, which is no harm: they are not shown."""
    if not gone:
        return
    with contextlib.suppress(OSError), _alone_with_listing() as listing:
        listed = [(line, _path_in(line)) for line, _ in read_lines(listing)]
        lines = [
            line
            for line, at in listed
            if at is None or gone.isdisjoint({at, _real(at)}) or at.exists()
        ]
        write_atomically(listing, b"".join(line + b"\n" for line in lines))


def runs_within() -> dict[Path, Path]:
    """For each folder (its real path) in which listed runs lie, at whatever depth: one of them."""
    found: dict[Path, Path] = {}
    for path in filter(lambda path: RunFolder(path).exists(), _listed_paths()):
        by_name = _real(path.parent) / path.name  # where a link to a run elsewhere lies
        for folder in (*_real(path).parents, *by_name.parents):
            found.setdefault(folder, path)
    return found


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, a name that no file can have
        return path


def _listing() -> Path:
    return state_folder() / "runs.jsonl"


@contextlib.contextmanager
def _alone_with_listing() -> Iterator[Path]:
    """The list, which no other process changes meanwhile. Raises OSError where it cannot be had."""
    lock = FileLock(state_folder() / "runs.lock", thread_local=False)
    with lock.acquire(timeout=LISTING_SECONDS, poll_interval=0.01):
        yield _listing()


def _listed_paths() -> list[Path]:
    found = (_path_in(line) for line, _ in read_lines(_listing()))
    return [path for path in found if path is not None]


def _path_in(line: bytes) -> Path | None:
    try:
        return Path(json.loads(line)["path"])
    except (ValueError, KeyError, TypeError):
        return None
