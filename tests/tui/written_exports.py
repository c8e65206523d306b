"""Real exports without a converter: written by the recorder that a worker uses."""

import json
import shutil
import time
from pathlib import Path

from filelock import FileLock

from tests.tui.written_runs import WrittenRun
from trainer_core.config.export_section import ExportRequest
from trainer_core.runs.events import Check, Eval, Event, Exported, Measure, Spoken, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.status import Phase, new_status, take_lock, write_status

BASE = Path(__file__).parents[2] / "configs" / "demo" / "base"
# Numbers in the adapter of a run made here.
NUMBERS = 1000


def train_something(run: WrittenRun, base: str = str(BASE), *, whole: bool = False) -> None:
    """Give a run what an export needs: its config, validations, best and last, two checkpoints."""
    path = run.folder.path
    run.folder.config.write_text(f"model:\n  base: {base}\ndata:\n  train: nothing.jsonl\n")
    run.say(*(Eval(step=n, epoch=1, loss=loss, best=True) for n, loss in ((40, 0.25), (60, 0.5))))
    kind = "model" if whole else "adapter"
    for place in (f"{kind}/best", f"{kind}/last", "checkpoints/step-40", "checkpoints/step-60"):
        if whole:
            shutil.copytree(BASE, path / place)
            continue
        (path / place).mkdir(parents=True)
        (path / place / "adapter_config.json").write_text("{}")
        shape = {"dtype": "F32", "shape": [NUMBERS], "data_offsets": [0, 4 * NUMBERS]}
        header = json.dumps({"a": shape}).encode()
        content = len(header).to_bytes(8, "little") + header + bytes(4 * NUMBERS)
        (path / place / "adapter_model.safetensors").write_bytes(content)


class WrittenExport:
    """An export of a run whose events the test writes; alive while the test holds its lock."""

    def __init__(self, run: WrittenRun, request: ExportRequest | None = None, number: int = 1):
        path = run.folder.path / "exports" / str(number)
        path.mkdir(parents=True)
        asked = request or ExportRequest(
            source=str(run.folder.path), checkpoint="best", formats=["gguf"]
        )
        (path / "request.json").write_text(asked.model_dump_json())
        self.folder = RunFolder(path)
        self.status = new_status(path.name, "export")
        self.recorder = Recorder(self.folder, lambda event: None)
        self._lock: FileLock | None = None
        self.show("running")

    def say(self, *events: Event) -> None:
        """Record what the job says."""
        for event in events:
            self.recorder.record(event)

    def show(self, state: Phase, message: str = "") -> None:
        """Say `state` in status.json."""
        self.status.state, self.status.message = state, message
        write_status(self.folder, self.status)

    def live(self) -> None:
        """Hold the export as a worker does."""
        self._lock = take_lock(self.folder)
        self.say(Stage(stage="reading", detail="the run", time=time.time() - 4))

    def close(self) -> None:
        """Let go of everything."""
        self.recorder.close()
        if self._lock is not None:
            self._lock.release()


def exported(name: str = "gguf q8_0", *, check: Check | None, commands: int = 2) -> Exported:
    """One artefact of 3 MiB."""
    return Exported(
        format=name,
        path=f"demo-{name.split()[-1].upper()}.gguf",
        size=3 << 20,
        seconds=7.0,
        check=check,
        commands=[f"llama-cli -m demo-{number}.gguf" for number in range(1, commands + 1)],
    )


def checked(divergence: float = 0.001, differs: str = "") -> Check:
    """A check with two measures, the second of which `divergence` may break."""
    return Check(
        runtime="llama.cpp",
        measures=[
            Measure(name="strings tokenised alike", value=47, limit=47, at_least=True),
            Measure(name="mean KL divergence", value=divergence, limit=0.05),
        ],
        differs=differs,
        spoken=[
            Spoken(prompt="What is the plural of city?", trained="cities.", exported="cities."),
            Spoken(prompt="What does a hunter do?", trained="hunts.", exported="hums."),
        ],
    )
