"""Whole run folders without a training: the recorder, the planner and the exporters' files."""

import json
from pathlib import Path
from typing import Any

from tests.tui.written_runs import WrittenRun, metrics
from trainer_core.config.load import load_config
from trainer_core.hardware.facts import machine_facts
from trainer_core.planning.draft import draft
from trainer_core.planning.estimate_data import guess_data
from trainer_core.planning.plan import ResolvedRun
from trainer_core.planning.resolved_file import write_resolved
from trainer_core.runs.events import Eval, Finished, Notice, Plan
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.identity import write_identity
from trainer_core.runs.registry import RunEntry, find_run, write_config
from trainer_core.runs.status import write_status

DEMO = Path(__file__).parents[2] / "configs" / "demo"


def planned(*settings: str) -> ResolvedRun:
    """The plan of a run on the demo's model and data, where little is given."""
    wish = [f"model.base={DEMO}/base", f"data.train={DEMO}/train.jsonl", *settings]
    loaded = load_config(None, wish)
    found = draft(loaded, machine_facts(), guess_data(loaded.config.data))
    assert found.run is not None, found.problem
    return found.run


def finished(
    path: Path,
    name: str,
    *settings: str,
    loss: float = 2.0,
    data: str = "aa",
    created: float = 1000.0,
) -> WrittenRun:
    """A run of ten steps that went from `loss` down, with two validations and a warning."""
    run = WrittenRun(path, name, f"{DEMO}/base", created)
    folder, resolved = run.folder, planned(*settings)
    write_config(folder, "model: {}\n")
    write_resolved(folder.resolved, resolved)
    write_identity(folder, {"format": 1, "data": {"train": [508, data]}, "base": "bb"})
    run.say(Plan(total_steps=10, epochs=1, values={}, reasons={}))
    run.say(Notice(message="the adapter may be too small"))
    for step in range(1, 11):
        run.say(metrics(step, loss / step).model_copy(update={"tokens": 100 * step}))
        if step % 5 == 0:
            run.say(Eval(step=step, epoch=1, loss=loss / step + 0.1, best=True))
    summary = {"memory_peak": 2.0 * (1 << 20), "memory_estimate": 1.0 * (1 << 20)}
    run.say(Finished(outcome="finished", step=10, elapsed=1.0, summary=summary))
    run.status.step, run.status.total_steps = 10, 10
    run.status.loss, run.status.data = loss / 10, f"{DEMO}/train.jsonl"
    run.status.ended = created + 60
    run.show("finished")
    run.close()
    return run


def entry_of(run: WrittenRun) -> RunEntry:
    return find_run(str(run.folder.path))


def checkpoint(place: RunFolder, step: int, *, whole: bool = True) -> Path:
    """A checkpoint of about a thousand bytes."""
    path = place.checkpoints / f"step-{step}"
    path.mkdir(parents=True)
    (path / "adapter_config.json").write_text("{}")
    (path / "adapter_model.safetensors").write_bytes(b"x" * 1000)
    if whole:
        (path / "manifest.json").write_text("{}")
    return path


def export(run: WrittenRun, **artefacts: Any) -> None:
    """The next export of a run, with the checks of what it made."""
    folder = job_folder(run.folder.exports, "export")
    check = {"format": 1, "checked": True, "artefacts": artefacts}
    (folder.path / "check.json").write_text(json.dumps(check))


def prediction(
    run: WrittenRun,
    answers: dict[str, tuple[str, str]],
    *,
    base: bool = False,
    nats: float | None = None,
    **asked: Any,
) -> RunFolder:
    """The next prediction job of a run: by prompt what was expected and what was answered; `asked`
    is what its request says besides. With `nats`, that is the loss of two tokens of each row."""
    folder = job_folder(run.folder.predictions, "predict")
    lines = [
        json.dumps({"row": row, "prompt": prompt, "expected": expected, "answer": answer}
                   | ({"nats": nats, "trained_tokens": 2} if nats is not None else {}))
        for row, (prompt, (expected, answer)) in enumerate(answers.items())
    ]  # fmt: skip
    folder.predictions_file.write_text("\n".join(lines) + "\n")
    request = {"source": str(run.folder.path), "base": base, **(asked or {"split": "test"})}
    (folder.path / "request.json").write_text(json.dumps(request))
    right = sum(one == other for one, other in answers.values()) / len(answers)
    scores = {"exact": {"value": right, "low": 0.0, "high": 1.0}}
    summary = {**request, "rows": len(lines), "scores": scores}
    (folder.path / "summary.json").write_text(json.dumps(summary))
    return folder


def compared(ours: RunFolder, theirs: RunFolder) -> None:
    """What `backprop eval` writes of two predictions."""
    spread = {"value": 0.25, "low": 0.125, "high": 0.375}
    scores = {"exact": {"value": spread, "other": spread, "difference": spread}}
    facts = {"format": 1, "other": str(theirs.path), "scores": scores}
    (ours.path / "eval.json").write_text(json.dumps(facts))


def job_folder(parent: Path, job: str) -> RunFolder:
    from trainer_core.runs.status import new_status

    number = len(list(parent.iterdir())) + 1 if parent.is_dir() else 1
    folder = RunFolder(parent / str(number))
    folder.path.mkdir(parents=True)
    status = new_status(str(number), job)
    status.state = "finished"
    write_status(folder, status)
    return folder
