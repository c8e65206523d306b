"""Where a job beside training works: a folder of its own, or one that a person names."""

import shutil
from pathlib import Path

from trainer_core.errors import UserError
from trainer_core.runs.folder import RunFolder, typed_path
from trainer_core.runs.status import is_alive, read_status

# What a worker leaves in its folder besides what the job was asked for: of a job that came to
# nothing this is all, and no reason to refuse the next one its place.
_RECORDS = (
    "events.jsonl", "worker.log", "status.json", "metrics_stream.jsonl", "black_box.json",
    "request.json", "memory.jsonl",
)  # fmt: skip
_LEFT = frozenset({*_RECORDS, "training", "curves", "lock"})
# Answers, and what was found of them or of an export: true of that job alone.
_FOUND = ("predictions.jsonl", "summary.json", "eval.json", "memory.png", "check.json")
_FOLDERS = ("training", "curves", "failed")


def chosen_folder(output: Path, job: str, *, force: bool) -> RunFolder:
    """The folder that a person named, made if it is not there. With `force` it may hold something
    already, which stays but for what has the same name and what was found of it. Raises UserError.
    """
    try:
        folder = RunFolder(typed_path(output))
        folder.path.mkdir(parents=True, exist_ok=True)
        occupied = any(path.name not in _LEFT for path in folder.path.iterdir())
    except (OSError, ValueError) as error:
        raise UserError(f"the folder {output} cannot be made: {error}") from None
    status = read_status(folder)
    if status is not None and is_alive(folder):
        raise UserError(
            f"in {output} a job is at work",
            hint=f"Name a new folder, or end it: backprop stop {output}",
        )
    if occupied and not force:
        raise UserError(
            f"{output} is not empty",
            hint="Name a new folder, or let --force replace what has the same names.",
        )
    if status is not None and status.job != job:
        raise UserError(f"{output} is another job's folder", hint="Name another with --output.")
    if status is not None:
        _forget_job(folder)
    return folder


def next_folder(parent: Path) -> RunFolder:
    """A new folder in `parent`, called by the next free number. Raises UserError."""
    _forget_half_made(parent)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            path = parent / str(number)
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return RunFolder(path)
    except OSError as error:
        raise UserError(
            f"{parent} cannot be made: {error.strerror}", hint="Name another place with --output."
        ) from None
    raise UserError(f"{parent} holds ten thousand of them", hint="Name a place with --output.")


def _forget_half_made(parent: Path) -> None:
    """What jobs left behind whose whole process group was killed."""
    for path in parent.glob("*/.partial"):
        if not is_alive(RunFolder(path.parent)):
            shutil.rmtree(path, ignore_errors=True)


def _forget_job(folder: RunFolder) -> None:
    """Of a job that ended, before another takes its place."""
    for name in (*_RECORDS, *_FOUND):
        (folder.path / name).unlink(missing_ok=True)
    for name in _FOLDERS:
        shutil.rmtree(folder.path / name, ignore_errors=True)
