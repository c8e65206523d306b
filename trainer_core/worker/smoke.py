"""A short run of a config, on its real model and data, that does once whatever a long one will do.

Three steps: after the second it is stopped, saved and resumed. It runs in a worker like any other
run, in a folder of its own that is in no list.
"""

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer_core.config.load import LoadedConfig, dump_config, validate
from trainer_core.runs.events import (
    Checkpoint,
    Eval,
    Event,
    Exported,
    Failed,
    Finished,
    Log,
    Metrics,
    Plan,
    Samples,
    Stage,
)
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import is_alive, new_status, write_status
from trainer_core.text import size
from trainer_core.worker.client import RunClient, start

STEPS, STOPPED_AT = 3, 2
SCORED_ROWS = 4
PATIENCE_SECONDS = 60.0
NOT_REACHED = "not reached"


@dataclass
class Check:
    """One thing that was tried: whether it passed (None: there was no need), and what was seen."""

    name: str
    passed: bool | None = None
    seen: str = NOT_REACHED


class Smoke:
    """Runs it. `checks` fill while it goes on; `failed` is why it ended early."""

    def __init__(self, loaded: LoadedConfig, folder: Path) -> None:
        self.folder = RunFolder(folder)
        self.failed = ""
        self._shown: dict[str, Check] = {}
        self._resumed = False
        self._exported: list[str] = []
        self._loaded = _shortened(loaded)
        for name in ("plan", "longest batch", "step", "validation", "samples", "checkpoint"):
            self._shown[name] = Check(name)
        self._shown |= {"resume": Check("resume"), "export": Check("export")}

    @property
    def checks(self) -> list[Check]:
        """All of them, in the order in which they come."""
        return list(self._shown.values())

    @property
    def passed(self) -> bool:
        """Whether all that had to be done was, and nothing went wrong."""
        done = all(check.passed or check.seen != NOT_REACHED for check in self.checks)
        return done and not self.failed and all(c.passed is not False for c in self.checks)

    def run(self, tell: Callable[[Event], None]) -> None:
        """Do it; `tell` hears every event. Raises BackpropError if no worker can be started."""
        config = self._loaded.config
        self.folder.config.write_text(dump_config(self._loaded), encoding="utf-8")
        status = new_status("smoke", "train", config.model.base, config.data.name)
        write_status(self.folder, status)
        self._follow(tell, stop_at=STOPPED_AT)
        if self.failed:
            return
        self._resumed = True
        self._follow(tell, stop_at=None)
        self._look_at_export()
        for check in self.checks:
            check.passed = False if check.seen == NOT_REACHED else check.passed

    def _follow(self, tell: Callable[[Event], None], stop_at: int | None) -> None:
        start(self.folder)
        client = RunClient(self.folder, "smoke")
        try:
            for event in self._new_events(client):
                tell(event)
                self._take(event)
                if isinstance(event, Metrics) and event.step == stop_at:
                    client.wait_connected(PATIENCE_SECONDS)
                    client.send("stop", "to resume it")
        except BaseException:  # Ctrl+C too: nobody waits for this run any more
            client.send("abort")
            deadline = time.monotonic() + PATIENCE_SECONDS
            while is_alive(self.folder) and time.monotonic() < deadline:
                time.sleep(0.1)
            raise
        finally:
            client.close()

    def _new_events(self, client: RunClient) -> Iterator[Event]:
        """Those that this worker says; of a resumed run the file holds the earlier ones too."""
        skipping = self._resumed
        for event in client.events():
            if event is None:
                continue
            if skipping:
                skipping = not (isinstance(event, Finished) and event.outcome == "stopped")
                continue
            yield event

    def _take(self, event: Event) -> None:
        if isinstance(event, Plan):
            self._take_plan(event)
        elif isinstance(event, Log) and event.message.startswith("measured "):
            self._pass("longest batch", event.message)
        elif isinstance(event, Log) and event.message.startswith("no validation"):
            self._shown["validation"] = Check("validation", None, "there are no rows for it")
        elif isinstance(event, Metrics):
            loss = event.values.get("loss")
            self._pass("step", f"{event.step} of {event.total_steps}, loss {loss:.4f}")
        elif isinstance(event, Eval):
            self._pass("validation", f"loss {event.loss:.4f}")
        elif isinstance(event, Samples):
            self._pass("samples", f"{len(event.answers)} answers")
        elif isinstance(event, Checkpoint):
            self._pass("checkpoint", event.path)
        elif isinstance(event, Stage) and event.stage == "training" and self._resumed:
            if "resumed" in event.detail:
                self._pass("resume", event.detail)
        elif isinstance(event, Exported):
            self._exported.append(f"{event.format}: {size(event.size)}")
        elif isinstance(event, Failed):
            self.failed = f"{event.message.rstrip('.')}. {event.hint}".strip()
        elif isinstance(event, Finished) and event.outcome == "finished":
            self._shown["export"].seen = event.saved

    def _take_plan(self, event: Plan) -> None:
        total, room = event.memory.get("total"), event.memory.get("budget")
        seen = "the model's sizes are not known"
        if not event.memory:  # then there is nothing to compare a measurement with
            self._shown["longest batch"] = Check("longest batch", None, seen)
        if isinstance(total, int) and isinstance(room, int):
            seen = f"needs about {size(total)} of {size(room)}"
        self._pass("plan", seen)
        if not event.values.get("training.sample_prompts"):
            self._shown["samples"] = Check("samples", None, "none are configured")

    def _pass(self, name: str, seen: str) -> None:
        self._shown[name] = Check(name, True, seen)

    def _look_at_export(self) -> None:
        """What was written must be there, and not empty."""
        check = self._shown["export"]
        place = Path(check.seen)
        weights = sorted(place.glob("*.safetensors")) if check.seen != NOT_REACHED else []
        check.passed = bool(weights)
        if check.passed:
            taken = sum(file.stat().st_size for file in weights)
            check.seen = ", ".join([f"{place.name}: {size(taken)}", *self._exported])


def _shortened(loaded: LoadedConfig) -> LoadedConfig:
    """The same run in STEPS steps, measured, validated and saved at each."""
    data = deepcopy(loaded.data)
    for section in ("training", "safety", "tracking", "export"):
        data[section] = data.get(section) or {}
    data["run"] = {"name": "smoke"}
    data["tracking"]["to"] = []
    data["export"] |= {"ollama": None, "push": None}  # what is tried here is for nobody
    data["safety"]["probe"] = "on"
    training = data["training"]
    training |= {"steps": STEPS, "epochs": "auto", "eval_steps": 1, "save_steps": 1}
    training |= {"remove_checkpoints": False, "patience": None}
    if isinstance(data.get("multi_run"), dict):
        _shorten_runs(data["multi_run"])
    return validate(data)


def _shorten_runs(multi_run: dict[str, Any]) -> None:
    """Every run and stage as short as the rest, a few rows scored, no baselines."""
    multi_run |= {"compare": [], "patience": None, "eval_rows": SCORED_ROWS}
    for stage in multi_run.get("stages") or []:
        stage |= {"steps": None, "epochs": None, "target_loss": None}
