"""What a run says of itself, read from its folder once: everything but the curves."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from trainer_core.errors import UserError
from trainer_core.planning.plan import ResolvedRun
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.runs.events import (
    Checkpoint,
    Eval,
    Event,
    Notice,
    Samples,
    Stage,
    decode,
)
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines
from trainer_core.runs.provenance import Provenance, read_provenance
from trainer_core.runs.status import Status, read_status, shown_state
from trainer_core.runs.view import RunView

# Of these there are too many to look at each, and the files of metrics have them.
_METRICS = b'"type":"metrics"'
_SKIPPED = (_METRICS, b'"type":"hardware"', b'"type":"log"', b'"type":"progress"')


@dataclass
class Story:
    """A run as its folder tells it. `view` is how it stands; the lists are in order of time, and
    `seconds` says how long it was in each stage."""

    folder: RunFolder
    status: Status
    state: str
    resolved: ResolvedRun | None = None
    provenance: Provenance | None = None
    view: RunView = field(default_factory=RunView)
    starts: list[float] = field(default_factory=list)
    evals: list[Eval] = field(default_factory=list)
    samples: list[Samples] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    # What is there and cannot be read.
    unread: list[str] = field(default_factory=list)


def read_story(folder: RunFolder) -> Story:
    """The story of the run in `folder`, ended or not. Raises UserError where there is no run."""
    status = read_status(folder)
    if status is None:
        raise UserError(f"{folder.path} holds no run", hint="`backprop runs` lists them.")
    story = Story(folder, status, shown_state(folder, status))
    try:
        story.resolved = read_resolved(folder.resolved)
    except UserError as error:  # of another version, or broken: the events are there all the same
        story.unread.append(str(error))
    story.provenance = read_provenance(folder)
    stage: Stage | None = None
    asked: dict[tuple[str, int], Samples] = {}
    for event in _events(folder):
        with suppress(OverflowError):  # of a damaged file: a step that no curve holds
            story.view.apply(event)
        if isinstance(event, Stage):
            if event.stage == "starting":
                story.starts.append(event.time)
            elif stage is not None:
                passed = event.time - stage.time
                story.seconds[stage.stage] = story.seconds.get(stage.stage, 0.0) + passed
            stage = event
        elif isinstance(event, Eval):
            story.evals.append(event)
        elif isinstance(event, Samples):
            asked[event.when, event.step] = event  # a resume answers again
        elif isinstance(event, Checkpoint):
            story.checkpoints.append(event)
        elif isinstance(event, Notice):
            story.notices.append(event)
    story.samples = [*asked.values()]
    if stage is not None and story.view.outcome is not None:
        passed = story.view.outcome.time - stage.time
        story.seconds[stage.stage] = story.seconds.get(stage.stage, 0.0) + passed
    return story


def _events(folder: RunFolder) -> Iterator[Event]:
    """The rare ones, each after the last step before it."""
    step = b""
    for line, _ in read_lines(folder.events):
        if any(name in line for name in _SKIPPED):
            step = line if _METRICS in line else step
            continue
        if step:
            yield from _decoded(step)
            step = b""
        yield from _decoded(line)
    if step:
        yield from _decoded(step)


def _decoded(line: bytes) -> Iterator[Event]:
    with suppress(ValueError):  # an event of a newer version
        yield decode(line)
