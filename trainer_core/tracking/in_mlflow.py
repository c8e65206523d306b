"""MLflow: where MLFLOW_TRACKING_URI says, else in its own default place, mlflow.db in the folder
that the run was started in."""

import json
import os
import time

import mlflow
from mlflow.entities import Metric, Param

from trainer_core.tracking.tracker import About, Ending, Notes, Row, as_markdown

# What one call takes, and the longest value.
_METRICS, _PARAMS, _LENGTH = 1000, 100, 6000
_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED", "killed": "FAILED"}


class MlflowRun:
    """Written through its client, so that nothing else is watched, sampled or guessed."""

    def __init__(self, about: About, notes: Notes) -> None:
        own = not os.environ.get("MLFLOW_TRACKING_URI")
        if own and "uri" in notes:
            mlflow.set_tracking_uri(notes["uri"])
        self._client = mlflow.MlflowClient()
        self._metrics: list[Metric] = []
        self._step = 0
        self.notes = {"run": notes.get("run") or self._create(about)}
        if own:  # one that the user named may hold a password
            self.notes["uri"] = mlflow.get_tracking_uri()
        self._id = self.notes["run"]
        self._client.update_run(self._id, status="RUNNING")

    def _create(self, about: About) -> str:
        name = about.project or os.environ.get("MLFLOW_EXPERIMENT_NAME") or about.title
        experiment = mlflow.set_experiment(name)
        tags = {"mlflow.source.name": "backprop", "folder": str(about.folder)}
        created = self._client.create_run(
            experiment.experiment_id, tags=tags, run_name=about.name
        ).info.run_id
        params = [Param(key, _value(value)) for key, value in about.config.items()]
        for start in range(0, len(params), _PARAMS):
            self._client.log_batch(created, params=params[start : start + _PARAMS])
        return str(created)

    def log(self, row: Row) -> None:
        self._add(row.values, row.time, row.step)
        if row.answers:
            self._client.log_text(self._id, as_markdown(row.answers), f"answers/{row.step}.md")
        self._step = row.step

    def _add(self, values: dict[str, float], when: float, step: int) -> None:
        self._metrics += [Metric(key, x, int(when * 1000), step) for key, x in values.items()]

    def flush(self) -> None:
        while self._metrics:
            self._client.log_batch(self._id, metrics=self._metrics[:_METRICS])
            del self._metrics[:_METRICS]

    def finish(self, ending: Ending) -> None:
        summary = {f"summary/{name}": value for name, value in ending.summary.items()}
        self._add(summary, time.time(), self._step)
        self.flush()
        self._client.set_tag(self._id, "outcome", ending.outcome)
        self._client.set_tag(self._id, "message", ending.message)
        if ending.outcome in _STATUS:
            self._client.set_terminated(self._id, status=_STATUS[ending.outcome])


def _value(value: object) -> str:
    """As MLflow can keep it."""
    return (value if isinstance(value, str) else json.dumps(value))[:_LENGTH]
