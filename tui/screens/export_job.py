"""What the Export screen does with a job: start one, follow it, stop it, leave it."""

import platform
import time

from textual import work
from textual.screen import Screen

from trainer_core.config.export_section import ExportRequest
from trainer_core.errors import BackpropError
from trainer_core.runs.events import Failed, Finished
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import ENDED, Status, read_status, shown_state
from trainer_core.text import clean
from trainer_core.worker.client import RunClient
from trainer_core.worker.launching import launch_export
from tui.export_found import read_request
from tui.export_view import ExportView
from tui.screens.dialog import Dialog
from tui.threads import tell

# Taking events in may not hold up a key press for longer than this.
FOLD_SECONDS = 0.03


class ExportJob(Screen[None]):
    """A screen that follows one export; how it looks is for the class made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.view = ExportView()
        self.job: RunFolder | None = None
        self.asked: ExportRequest | None = None
        self.starting = False
        self._client: RunClient | None = None
        self._status: Status | None = None
        self._status_read = 0.0

    def on_unmount(self) -> None:
        if self._client is not None:
            self._client.close()

    def job_started(self, folder: RunFolder) -> None:
        """Show the job that has begun."""
        raise NotImplementedError

    def job_not_started(self, why: str) -> None:
        """Say why it has not."""
        raise NotImplementedError

    # --- starting and following ------------------------------------------------------------------

    def start(self, request: ExportRequest) -> None:
        """Start the job, unless one is being started."""
        if not self.starting:
            self.starting = True
            self._start(request)

    @work(thread=True, exclusive=True, group="start")
    def _start(self, request: ExportRequest) -> None:
        try:
            folder = launch_export(request)
        except (BackpropError, OSError) as error:
            tell(self, self._started, None, clean(str(error)))
        else:
            tell(self, self._started, folder)

    def _started(self, folder: RunFolder | None, why_not: str = "") -> None:
        self.starting = False
        if folder is None:
            self.job_not_started(why_not)
        else:
            self.job_started(folder)

    def follow(self, folder: RunFolder) -> None:
        """Follow another job: live, or what is left of it."""
        if self.job is not None and folder.path == self.job.path:
            return
        if self._client is not None:
            self._client.close()
        self.job, self.view, self._status = folder, ExportView(), None
        self.asked = read_request(folder)
        self._client = RunClient(folder, "dashboard")

    def take(self) -> bool:
        """Take in what came, for a bounded time; whether anything did."""
        if self._client is None:
            return False
        changed = False
        for event in self._client.take(time.monotonic() + FOLD_SECONDS):
            self.view.apply(event)
            changed = True
        return changed

    @property
    def is_followed_live(self) -> bool:
        """Whether the job hears what is asked of it."""
        return self._client is not None and self._client.connected

    @property
    def state(self) -> str:
        """Of the job, from its events, which are newer than status.json; else from the lock."""
        outcome = self.view.outcome
        if isinstance(outcome, Finished):
            return outcome.outcome
        if isinstance(outcome, Failed):
            return "failed"
        status = self._read_status()
        if self._client is not None and self._client.ended and status is not None and self.job:
            return shown_state(self.job, status)
        return "running"

    def _read_status(self) -> Status | None:
        if self.job is not None and time.monotonic() - self._status_read >= 1.0:
            self._status_read = time.monotonic()
            self._status = read_status(self.job)
        return self._status

    # --- stopping and leaving --------------------------------------------------------------------

    def action_stop(self) -> None:
        """Ask, then stop the export."""
        why_not = self._why_not()
        if why_not:
            self.notify(why_not, severity="warning")
            return
        answers = {"go": "Let it go on", "stop": "Stop it"}
        question = "Stop this export? What is half written is removed; what is whole stays."
        self.app.push_screen(Dialog(question, answers), self._answered)

    def leave(self) -> bool:
        """Whether leaving needs an answer first; then the question is open."""
        if self._why_not():
            return False
        answers = {
            "leave": "Leave it running, close the dashboard",
            "stop": "Stop it, then stay here",
            "cancel": "Stay here",
        }
        self.app.push_screen(
            Dialog("The export goes on. What shall become of it?", answers), self._answered
        )
        return True

    def _answered(self, answer: str | None) -> None:
        if answer == "leave":
            self.app.exit()
        elif answer == "stop" and self._client is not None:
            if self._client.send("stop"):
                self.notify("Stop asked for", timeout=2)
            else:
                self.notify("The worker cannot be reached", severity="error")

    def _why_not(self) -> str:
        if self.job is None:
            return "No export is open"
        status = self._read_status()
        if status is not None and status.host not in {"", platform.node()}:
            return "The export is on another host; only there can it be stopped"
        state = self.state
        return f"The export has ended ({state})" if state in {*ENDED, "died"} else ""
