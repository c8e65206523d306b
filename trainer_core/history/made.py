"""What was made of a run: its exports, the prompts that were answered, the runs of a multi-run."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from trainer_core.errors import UserError
from trainer_core.files import size_of
from trainer_core.history.facts import (
    Artefact,
    ExportFacts,
    PartFacts,
    PredictionFacts,
)
from trainer_core.reading import read_object
from trainer_core.runs.events import Check
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.multi_run_events import Spread
from trainer_core.runs.status import read_status, shown_state
from trainer_core.runs.trained import UNDONE

_Place = TypeVar("_Place")
_Fact = TypeVar("_Fact")
_PART = re.compile(r"run-(\d+)")
_SCORES: TypeAdapter[dict[str, Spread]] = TypeAdapter(dict[str, Spread])


class UnreadableError(ValueError):
    """A file that is there and cannot be understood; its name."""


def exports_of(folder: RunFolder, unread: list[str]) -> list[ExportFacts]:
    """Each export, in order, with the checks of what it made. What cannot be read goes into
    `unread`, here and below."""
    return _each(_jobs(folder.exports), lambda job: _export(folder, job), unread)


def predictions_of(folder: RunFolder, unread: list[str]) -> list[PredictionFacts]:
    """Each prediction job, in order, with its scores."""
    return _each(_jobs(folder.predictions), lambda job: _prediction(folder, job), unread)


def parts_of(folder: RunFolder, unread: list[str]) -> list[PartFacts]:
    """The runs of a multi-run, in order; run-00, what was scored before the first, is none."""
    found = {int(m[1]): p for p in folder.path.glob("run-*") if (m := _PART.fullmatch(p.name))}
    found.pop(0, None)
    return _each(sorted(found), lambda number: _part(number, folder.part(number)), unread)


def read_json(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds; None where there is none. Raises UnreadableError."""
    try:
        return read_object(path)
    except FileNotFoundError:
        return None
    except (OSError, UserError):
        raise UnreadableError(_named(path)) from None


def _named(path: Path) -> str:
    return "/".join(path.parts[-3:])


def _each(
    places: Iterable[_Place], read: Callable[[_Place], _Fact], unread: list[str]
) -> list[_Fact]:
    found = []
    for place in places:
        try:
            found.append(read(place))
        except UnreadableError as error:
            unread.append(str(error))
    return found


def _part(number: int, part: RunFolder) -> PartFacts:
    done = read_json(part.done) or {}
    known = PartFacts.model_fields.keys() & done.keys() - {"number", "name", "done", "undone"}
    try:
        return PartFacts(
            number=number,
            done=bool(done),
            undone=(part.path / UNDONE).exists(),
            **{name: done[name] for name in known},
        )
    except ValidationError:
        raise UnreadableError(_named(part.done)) from None


def _jobs(folder: Path) -> list[RunFolder]:
    try:
        found = [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]
    except OSError:
        return []
    return [RunFolder(path) for path in sorted(found, key=lambda path: int(path.name))]


def _export(run: RunFolder, job: RunFolder) -> ExportFacts:
    check = read_json(job.path / "check.json") or {}
    artefacts = check.get("artefacts")
    found = artefacts.items() if isinstance(artefacts, dict) else ()
    status = read_status(job)
    return ExportFacts(
        place=str(job.path.relative_to(run.path)),
        state=shown_state(job, status) if status is not None else "",
        message=status.message if status is not None else "",
        artefacts=[_artefact(job, path, how) for path, how in found],
    )


def _artefact(job: RunFolder, path: str, how: Any) -> Artefact:
    """`how` is its check; None where there was none. It lies in the job's folder: a file from
    anywhere does not make us walk the whole disk."""
    named = PurePath(path)
    try:
        if named.anchor or ".." in named.parts:
            raise ValueError(path)
        place = job.path / named
        made = Artefact(path=path, size=size_of(place) if place.exists() else None)
        if how is None:
            return made
        check = Check.model_validate(how)
    except (OSError, ValueError):  # no path at all, or no check
        raise UnreadableError(_named(job.path / "check.json")) from None
    found = {"runtime": check.runtime, "passed": check.passed, "differs": check.failure}
    return made.model_copy(update=found)


def _prediction(run: RunFolder, job: RunFolder) -> PredictionFacts:
    asked = read_json(job.path / "request.json") or {}
    summary = read_json(job.path / "summary.json") or {}
    compared = read_json(job.path / "eval.json") or {}
    status = read_status(job)
    try:
        return PredictionFacts(
            place=str(job.path.relative_to(run.path)),
            state=shown_state(job, status) if status is not None else "",
            asked=_asked(asked),
            checkpoint=asked.get("checkpoint"),
            base=asked.get("base") or False,
            rows=summary.get("rows") or 0,
            scores=_SCORES.validate_python(summary.get("scores") or {}),
            other=compared.get("other"),
            compared=_SCORES.validate_python(_differences(compared)),
            gates=compared.get("gates") or [],
        )
    except ValidationError:
        raise UnreadableError(f"{_named(job.path / 'summary.json')} or eval.json") from None


def _asked(request: dict[str, Any]) -> str:
    """`split validation`, `prompts questions.txt`, or the prompt itself."""
    for name in ("prompts", "data"):
        if request.get(name):
            return f"{name} {Path(str(request[name])).name}"
    if request.get("split"):
        return f"split {request['split']}"
    return str(request.get("prompt") or "")


def _differences(compared: dict[str, Any]) -> dict[str, Any]:
    scores = compared.get("scores")
    found = scores.items() if isinstance(scores, dict) else ()
    return {
        name: one["difference"]
        for name, one in found
        if isinstance(one, dict) and "difference" in one
    }
