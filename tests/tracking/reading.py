"""What trackers have, read with their own readers, each in a process of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.tracking.recorded import Curves

_TENSORBOARD = """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1] + "/tensorboard", size_guidance={"scalars": 0, "tensors": 0})
events.Reload()
tags = events.Tags()
points = [[tag, x.step, x.value] for tag in tags["scalars"] for x in events.Scalars(tag)]
texts = {tag: [x.tensor_proto.string_val[0].decode() for x in events.Tensors(tag)]
         for tag in tags["tensors"]}
say(points, runs=1, config=texts["config"][0], answers=texts.get("answers", []),
    outcome=texts["outcome"][-1])
"""
_TRACKIO = """
import trackio
from trackio.sqlite_storage import SQLiteStorage
(project,) = SQLiteStorage.get_projects()
records = SQLiteStorage.get_run_records(project)
logs = SQLiteStorage.get_logs(project, records[0]["name"], max_points=None)
points = [[tag, log["step"], value] for log in logs for tag, value in log.items()
          if "/" in tag]
answers = [log["answers"]["_value"] for log in logs if "answers" in log]
outcome = [log["outcome"] for log in logs if "outcome" in log][-1]
say(points, runs=len(records), project=project, answers=answers, outcome=outcome,
    config=SQLiteStorage.get_run_config(project, records[0]["name"]))
"""
_MLFLOW = """
import mlflow
client = mlflow.MlflowClient()
(experiment,) = [x for x in client.search_experiments() if x.name != "Default"]
runs = client.search_runs([experiment.experiment_id])
run = runs[0]
points = [[tag, x.step, x.value] for tag in run.data.metrics
          for x in client.get_metric_history(run.info.run_id, tag)]
answers = [mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{file.path}")
           for file in client.list_artifacts(run.info.run_id, "answers")]
say(points, runs=len(runs), project=experiment.name, config=run.data.params, answers=answers,
    outcome=f"{run.info.status} {run.data.tags['outcome']}")
"""
_PROGRAMS = {"tensorboard": _TENSORBOARD, "trackio": _TRACKIO, "mlflow": _MLFLOW}
_SAY = """
import json, sys
def say(points, **more):
    print("\\n" + json.dumps({"points": points, **more}))
"""


@dataclass
class Seen:
    """What one tracker has of the runs that it knows, which is one."""

    points: list[tuple[str, int, float]]
    runs: int
    config: str
    answers: list[str]
    outcome: str
    project: str = ""
    curves: Curves = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, step, value in self.points:
            curve = self.curves.setdefault(name, {})
            assert step not in curve, f"{name} has step {step} twice"
            curve[step] = float(value)


def read_back(name: str, folder: Path) -> Seen:
    """What the tracker `name` has; `folder` is the run's."""
    if name == "wandb":
        return _wandb(folder)
    done = subprocess.run(
        [sys.executable, "-c", _SAY + _PROGRAMS[name], str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    return Seen(**{**read, "config": json.dumps(read["config"])})


def _wandb(folder: Path) -> Seen:
    """By `wandb leet inspect`, from the files that it would send."""
    records = [record for place in sorted(folder.glob("wandb/*run-*")) for record in _log(place)]
    runs = [record["run"] for record in records if record["type"] == "run"]
    rows = [x["history"]["item"] for x in records if x["type"] == "history"]
    points = [
        (name, row["_step"], value) for row in rows for name, value in row.items() if "/" in name
    ]
    answers = [table.read_text() for table in folder.rglob("*.table.json")]
    summary: dict[str, Any] = {}
    for record in records:
        if record["type"] == "summary":
            summary |= record["summary"].get("update", {})
    return Seen(
        points,
        runs=len({run["run_id"] for run in runs}),
        config=json.dumps([run["config"] for run in runs]),
        answers=answers,
        outcome=f"{summary['outcome']} exit {[r['exit'] for r in records if r['type'] == 'exit']}",
        project=runs[0]["project"],
    )


def _log(place: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(place)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
