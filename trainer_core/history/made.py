"""What was made of a run: its exports, the prompts that were answered, the runs of a multi-run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trainer_core.history.facts import (
    Artefact,
    ExportFacts,
    PartFacts,
    PredictionFacts,
)
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.multi_run_events import Spread
from trainer_core.runs.status import read_status, shown_state
from trainer_core.runs.trained import UNDONE

_SCORES: TypeAdapter[dict[str, Spread]] = TypeAdapter(dict[str, Spread])


class UnreadableError(ValueError):
    """A file that is there and cannot be understood."""


def exports_of(folder: RunFolder) -> Iterator[ExportFacts | UnreadableError]:
    """Each export, in order, with the checks of what it made."""
    for job in _jobs(folder.exports):
        try:
            yield _export(folder, job)
        except UnreadableError as error:
            yield error


def predictions_of(folder: RunFolder) -> Iterator[PredictionFacts | UnreadableError]:
    """Each prediction job, in order, with its scores."""
    for job in _jobs(folder.predictions):
        try:
            yield _prediction(folder, job)
        except UnreadableError as error:
            yield error


def parts_of(folder: RunFolder) -> Iterator[PartFacts | UnreadableError]:
    """The runs of a multi-run, in order. Run 0 is what was scored before the first."""
    for path in sorted(folder.path.glob("run-[0-9]*")):
        number = path.name.removeprefix("run-")
        if not number.isdigit() or not int(number) or not path.is_dir():
            continue
        part = RunFolder(path)
        try:
            done = read_json(part.done) or {}
            known = PartFacts.model_fields.keys() & done.keys() - {"number", "name"}
            yield PartFacts(
                number=int(number),
                done=bool(done),
                undone=(path / UNDONE).exists(),
                **{name: done[name] for name in known},
            )
        except (UnreadableError, ValidationError):
            yield UnreadableError(f"{path.name}/{part.done.name}")


def read_json(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds; None where there is none. Raises UnreadableError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise UnreadableError(f"{path.parent.name}/{path.name}") from None
    if not isinstance(found, dict):
        raise UnreadableError(f"{path.parent.name}/{path.name}")
    return found


def _jobs(folder: Path) -> list[RunFolder]:
    try:
        found = [path for path in folder.iterdir() if path.name.isdigit() and path.is_dir()]
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
        artefacts=[_artefact(path, how) for path, how in found],
    )


def _artefact(path: str, how: Any) -> Artefact:
    if not isinstance(how, dict):  # it was not checked
        return Artefact(path=path)
    return Artefact(path=path, passed=how.get("passed") is True, differs=str(how.get("differs")))


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
        raise UnreadableError(f"{job.path.name}/summary.json or eval.json") from None


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
