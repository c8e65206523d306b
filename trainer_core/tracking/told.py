"""tracking/NAME.json: what a tracker has been told of a run, replaced atomically."""

from contextlib import suppress
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ValidationError

from trainer_core.files import write_atomically
from trainer_core.runs.events import decode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines
from trainer_core.tracking.rows import row_of
from trainer_core.tracking.tracker import Notes

FORMAT = 1


class Told(BaseModel):
    """`offset` is where in events.jsonl the next event begins that was not read; `steps` has the
    last step of each type of event that was logged. `problem` is what ended it before its end, in
    one line."""

    format: int = FORMAT
    notes: Notes = {}
    offset: int = 0
    steps: dict[str, int] = {}
    ended: bool = False
    problem: str = ""

    @property
    def step(self) -> int:
        """The last training step that was logged."""
        return self.steps.get("metrics", 0)


def place_of(folder: RunFolder, name: str, suffix: str) -> Path:
    """A tracker's file in a run folder: `json`, `log` or `lock`."""
    return folder.path / "tracking" / f"{name}.{suffix}"


def read_told(folder: RunFolder, name: str) -> Told:
    """What a tracker has been told; nothing where there is no file that can be read."""
    try:
        return Told.model_validate_json(place_of(folder, name, "json").read_bytes())
    except (OSError, ValidationError, ValueError):
        return Told()


def write_told(folder: RunFolder, name: str, told: Told) -> None:
    """Replace the file."""
    data = told.model_dump_json(indent=1).encode() + b"\n"
    write_atomically(place_of(folder, name, "json"), data)


def telling_lock(folder: RunFolder, name: str) -> FileLock:
    """Held by the process that tells a tracker of a run."""
    path = place_of(folder, name, "lock")
    path.parent.mkdir(exist_ok=True)
    return FileLock(path, thread_local=False)


def is_behind(folder: RunFolder, told: Told) -> bool:
    """Whether there is something in the run that the tracker was not told."""
    for line, _ in read_lines(folder.events, told.offset):
        with suppress(ValueError):
            if row_of(decode(line), told.steps) is not None:
                return True
    return False
