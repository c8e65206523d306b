"""A prediction in the test's own process, as its job does it: what a worker costs, is saved."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer_core.runs.control import Control
from trainer_core.runs.events import Event, Notice
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder


@dataclass(frozen=True)
class Predicting:
    """What it wrote, and what it warned of."""

    lines: list[dict[str, Any]]
    summary: dict[str, Any]
    warnings: list[str]

    @property
    def answers(self) -> list[str]:
        return [line["answer"] for line in self.lines]


def predict_here(folder: Path, source: Path, **request: Any) -> Predicting:
    """Predict in `folder`, which is made, what a request asks of `source`. Raises as a job does."""
    from trainer_core.answering.predict import predict

    job = RunFolder(folder)
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps({"source": str(source), **request}))
    said: list[Event] = []
    recorder = Recorder(job, said.append)
    try:
        predict(job, recorder, Control())
    finally:
        recorder.close()
    return Predicting(
        [json.loads(line) for line in job.predictions_file.read_text().splitlines()],
        json.loads((folder / "summary.json").read_text()),
        [event.message for event in said if isinstance(event, Notice)],
    )
