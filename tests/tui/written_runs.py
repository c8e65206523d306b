"""Real run folders without a training: written by the recorder that a worker uses."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from filelock import FileLock
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Static

from trainer_core.runs.events import Event, Metrics, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.registry import register
from trainer_core.runs.status import Phase, new_status, take_lock, write_status
from tui.app import BackpropApp

PATIENCE = 60.0


class WrittenRun:
    """A listed run whose events the test writes; alive while the test holds its lock."""

    def __init__(self, path: Path, name: str, model: str = "models/tiny", created: float = 0.0):
        path.mkdir(parents=True)
        self.folder = RunFolder(path)
        self.status = new_status(name, "train", model)
        self.status.created = created or time.time()
        self.status.total_steps = 100
        self._lock: FileLock | None = None
        self._recorder = Recorder(self.folder, lambda event: None)
        self.show("running")
        register(name, self.folder)

    def say(self, *events: Event) -> None:
        """Record what the job says."""
        for event in events:
            self._recorder.record(event)

    def train(self, first: int, last: int, loss: Callable[[int], float | None]) -> None:
        """Record the steps from `first` to `last`, with `loss` of the step."""
        for step in range(first, last + 1):
            self.say(metrics(step, loss(step)))

    def show(self, state: Phase) -> None:
        """Say `state` in status.json."""
        self.status.state = state
        write_status(self.folder, self.status)

    def live(self) -> None:
        """Hold the run as a worker does; one that ended before goes on."""
        self._recorder.close()
        self._recorder = Recorder(self.folder, lambda event: None)
        self._lock = take_lock(self.folder)
        self.show("running")
        self.say(Stage(stage="starting"), Stage(stage="training"))

    def let_go(self) -> None:
        """Be no longer alive."""
        if self._lock is not None:
            self._lock.release()

    def close(self) -> None:
        """Let go of everything."""
        self._recorder.close()
        self.let_go()


def metrics(step: int, loss: float | None) -> Metrics:
    """One step of a hundred."""
    return Metrics(
        step=step,
        total_steps=100,
        epoch=step / 50,
        elapsed=step / 10,
        values={"loss": loss, "learning_rate": 1e-4},
        tokens_per_second=1234.0,
        seconds_left=(100 - step) / 10,
    )


@asynccontextmanager
async def opened(
    run: WrittenRun | None = None, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[BackpropApp, "Pilot[None]"]]:
    """The dashboard in a terminal of `size`, on `run` if there is one."""
    app = BackpropApp(run.folder if run else None)
    async with app.run_test(size=size) as pilot:
        yield app, pilot


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for `condition`; fails with `what` when it never comes."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        await asyncio.sleep(0.02)


def screen_text(app: BackpropApp) -> str:
    """What a person sees: the text of the whole terminal."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


def text_of(app: BackpropApp, selector: str) -> str:
    """The text of one Static of the screen."""
    widgets: list[Widget] = list(app.screen.query(selector))
    return str(widgets[0].render()) if widgets and isinstance(widgets[0], Static) else ""


def notices(app: BackpropApp) -> list[str]:
    """The sentences of the notices that stand on the screen now."""
    return [notice.message for notice in app._notifications]
