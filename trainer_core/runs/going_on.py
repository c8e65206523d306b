"""Whether a run that ended can be gone on with, from what lies in its folder. Light: it is asked
for each run of a list.

What offers a resume uses `can_resume` for whether, `saved` for from where, and `Status.cause` (or
`Failed.cause` of RunView.outcome) for why it ended.
"""

import re
import shlex

from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import is_alive, read_status

_STEP, _RUN = re.compile(r"step-(\d+)"), re.compile(r"run-(\d+)")


def can_resume(folder: RunFolder) -> bool:
    """Whether `backprop train --resume` would go on with what is in `folder`: a training, not
    finished, that no process holds."""
    status = read_status(folder)
    if status is None or status.job != "train" or status.state == "finished":
        return False
    return folder.config.is_file() and not is_alive(folder)


def saved(folder: RunFolder) -> str:
    """From where it would go on, in words: `step 20`; of a multi-run `run 2, step 10`. Empty where
    nothing was saved yet. Whether a checkpoint is whole is found out when it is loaded."""
    parts = {int(m[1]): folder.part(int(m[1])) for m in _matches(folder, _RUN)}
    for number in sorted(parts, reverse=True):
        if parts[number].done.is_file():
            return f"run {number}, which is done"
        step = _newest_step(parts[number])
        if step is not None:
            return f"run {number}, step {step}"
    step = _newest_step(folder)
    return f"step {step}" if step is not None else ""


def way_on(folder: RunFolder) -> str:
    """What to do about a training that broke off, as a sentence with the command; empty for what
    cannot be gone on with."""
    status = read_status(folder)
    if status is None or status.job != "train" or not folder.config.is_file():
        return ""
    command = f"backprop train --resume {shlex.quote(str(folder.path))}"
    place = saved(folder)
    if place:
        return f"Go on from {place}: {command}"
    return f"Nothing was saved yet; begin it again: {command}"


def _newest_step(folder: RunFolder) -> int | None:
    """Of the checkpoints that have a manifest, which is written last."""
    steps = [
        int(match[1])
        for match in _matches(RunFolder(folder.checkpoints), _STEP)
        if (folder.checkpoints / match[0] / "manifest.json").is_file()
    ]
    return max(steps, default=None)


def _matches(folder: RunFolder, name: re.Pattern[str]) -> list[re.Match[str]]:
    try:
        names = [path.name for path in folder.path.iterdir()]
    except OSError:
        return []
    return [match for match in map(name.fullmatch, names) if match]
