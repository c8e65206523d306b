"""Where a training goes on: the newest whole checkpoint of a run, and of a multi-run the run that
is not done."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from trainer_core.engine.checkpoint import damage, list_checkpoints, set_aside, step_of
from trainer_core.files import write_atomically
from trainer_core.planning.plan import ResolvedRun
from trainer_core.runs.folder import RunFolder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """What one run of a multi-run came to. `tokens` counts those of the runs before too; `early`
    says why it ended before its last step, if it did. Losses are nats per trained token; that of
    the general slice is the merged adapter's."""

    steps: int
    tokens: int
    first_loss: float | None = None
    last_loss: float | None = None
    best_eval_loss: float | None = None
    general_loss: float | None = None
    early: str = ""


def read_done(part: RunFolder) -> Done | None:
    """How the run in this folder ended; None if it has not."""
    try:
        return Done(**json.loads(part.done.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def write_done(part: RunFolder, done: Done) -> None:
    """Say that a run of a multi-run is over. What it leaves behind must be there by then."""
    data = json.dumps(asdict(done), indent=1).encode()
    write_atomically(part.done, data, durable=True)


def resume_point(folder: RunFolder) -> Path | None:
    """The newest whole checkpoint, if there is one: a run goes on where it was. Damaged ones after
    it are set aside. Raises UserError for one of another version."""
    for checkpoint in reversed(list_checkpoints(folder.checkpoints)):
        wrong = damage(checkpoint)
        if not wrong:
            return checkpoint
        place = set_aside(checkpoint)
        log.warning("%s is damaged and was set aside as %s: %s", checkpoint.name, place.name, wrong)
    return None


def resumed_step(folder: RunFolder, run: ResolvedRun) -> int | None:
    """The step that the training goes on after, counted through all runs; None for a new one."""
    if not run.runs:
        return _step(resume_point(folder))
    before = 0
    for planned in run.runs:
        part = folder.part(planned.number)
        done = read_done(part)
        if done is None:
            return before + (_step(resume_point(part)) or 0) or None
        before += done.steps
    return before


def _step(checkpoint: Path | None) -> int | None:
    return None if checkpoint is None else step_of(checkpoint)
