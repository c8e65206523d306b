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
from trainer_core.runs.trained import UNDONE, run_of

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
    request = read_json(job.path / "request.json") or {}
    summary = read_json(job.path / "summary.json") or {}
    compared = read_json(job.path / "eval.json") or {}
    status, other = read_status(job), compared.get("other")
    try:
        return PredictionFacts(
            place=str(job.path.relative_to(run.path)),
            state=shown_state(job, status) if status is not None else "",
            asked=_asked(request, summary, run),
            model=_model(request, job, run),
            sampling=request.get("sampling") or {},
            checkpoint=request.get("checkpoint"),
            base=request.get("base") or False,
            rows=summary.get("rows") or 0,
            scores=_SCORES.validate_python(summary.get("scores") or {}),
            other=other,
            other_model=_other_model(RunFolder(Path(str(other))), run) if other else "",
            compared=_SCORES.validate_python(_differences(compared)),
            gates=compared.get("gates") or [],
        )
    except (OSError, ValueError):
        said = f"{_named(job.path / 'request.json')}, summary.json or eval.json"
        raise UnreadableError(said) from None


def _asked(request: dict[str, Any], summary: dict[str, Any], run: RunFolder) -> str:
    """`split validation`, `prompts questions.txt`, or the prompt itself. Where the prompts are what
    another job has answered, what that one was asked, perhaps `of` another run."""
    if request.get("prompts"):
        prompts = Path(str(request["prompts"]))
        first = RunFolder(prompts.parent)
        asked_first = _json_or_nothing(first.path / "request.json")
        if prompts != first.predictions_file or not asked_first or asked_first.get("prompts"):
            return f"prompts {Path(str(asked_first.get('prompts') or prompts)).name}"
        words = _asked(asked_first, _json_or_nothing(first.path / "summary.json"), run)
        return f"{words}{_of_another(run_of(first.path), run)}"
    if request.get("data"):
        return f"data {Path(str(request['data'])).name}"
    split = summary.get("split") or request.get("split")
    return f"split {split}" if split else str(request.get("prompt") or "rows held out")


def _model(request: dict[str, Any], job: RunFolder, run: RunFolder) -> str:
    """Who answered, as one says it of `run`."""
    source = Path(str(request.get("source") or job.path))
    owner = run_of(source) or run_of(job.path)  # of one that was moved since, where it lies now
    who = "the base" if request.get("base") else str(request.get("checkpoint") or "")
    if owner is None:
        return f"{who} of {source.name}" if who else source.name
    if not who and source.is_relative_to(owner.path) and source not in (owner.path, job.path):
        who = source.relative_to(owner.path).as_posix()
    return f"{who or 'what was trained'}{_of_another(owner, run)}"


def _of_another(owner: RunFolder | None, run: RunFolder) -> str:
    """` of ID` if it is another run."""
    if owner is None or owner.path.samefile(run.path):
        return ""
    status = read_status(owner)
    return f" of {status.run if status is not None else owner.path.name}"


def _other_model(job: RunFolder, run: RunFolder) -> str:
    """The same of another folder of answers; its path where that is all that is known."""
    request = _json_or_nothing(job.path / "request.json")
    return _model(request, job, run) if request else str(job.path)


def _json_or_nothing(path: Path) -> dict[str, Any]:
    """What another job's file holds, if it can be read: it may be gone."""
    try:
        return read_json(path) or {}
    except UnreadableError:
        return {}


def _differences(compared: dict[str, Any]) -> dict[str, Any]:
    scores = compared.get("scores")
    found = scores.items() if isinstance(scores, dict) else ()
    return {
        name: one["difference"]
        for name, one in found
        if isinstance(one, dict) and "difference" in one
    }
