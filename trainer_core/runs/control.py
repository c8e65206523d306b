"""What the user and the watch on the machine ask of a running job: flags that the engine polls."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from trainer_core.config.safety_section import SafetySection
from trainer_core.errors import BackpropError
from trainer_core.runs.events import Failed, Finished

CommandName = Literal["pause", "resume", "save", "evaluate", "score", "stop", "abort"]
# Done once each time they are asked for, between two steps.
Once = Literal["save", "evaluate", "score"]
COMMANDS: tuple[str, ...] = get_args(CommandName)


MAX_QUESTIONS = 100


@dataclass(frozen=True, slots=True)
class Question:
    """Something a client wants to know; the reply carries the same `id`."""

    id: str
    about: dict[str, Any]


class Control:
    """Wishes, set from any thread, polled by the engine between steps.

    Of the user: `save`, `evaluate` and `score` are taken once; `pause` lasts until `resume` or
    `stop`; `stop` saves and ends; `abort` ends without saving.

    Of whoever watches the machine: holds, each by its name. The job is paused while the user paused
    it or a hold lasts; `resume` lifts the user's pause alone. `give_up` ends it with an error.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._once: set[str] = set()
        # A job that answers none keeps only the newest few.
        self._questions: deque[Question] = deque(maxlen=MAX_QUESTIONS)
        self._paused_by_user = False
        self._holds: dict[str, str] = {}
        self.stopping = False
        self.aborting = False
        self.reason = ""
        # What ended the job, where that was not the user.
        self.failure: BackpropError | None = None
        # Set by the engine when it has read the config: the limits that the machine's watch keeps.
        self.safety: SafetySection | None = None
        # Set by the engine: whether a stop must wait for a save, and the last finished step.
        self.holds_work = False
        self.step = 0
        # Called in long work between two events: a sign of life.
        self.beat: Callable[[], None] = lambda: None
        # Called with how the job ended, before that is recorded as its last event.
        self.before_end: list[Callable[[Finished | Failed], None]] = []
        # What else must end before the process does, where it ends without the engine.
        self.before_exit: list[Callable[[], None]] = []
        # Ends the process without the engine; None where a person's own program trains in it.
        self.end_now: Callable[[], None] | None = None

    @property
    def paused(self) -> bool:
        """Whether the job shall wait between two steps."""
        return self._paused_by_user or bool(self._holds)

    @property
    def pause_reason(self) -> str:
        """Why the machine holds the job, in words; empty where only the user paused it."""
        return "; ".join(list(self._holds.values()))

    def hold(self, name: str, reason: str) -> None:
        """Pause the job until `release` of the same name."""
        with self._changed:
            self._holds[name] = reason
            self._changed.notify_all()

    def release(self, name: str) -> None:
        """End a hold; the job goes on when no other is left and the user has not paused it."""
        with self._changed:
            self._holds.pop(name, None)
            self._changed.notify_all()

    def give_up(self, error: BackpropError, *, save: bool) -> None:
        """End the job as failed with `error`: as a stop does (`save`), or as an abort. One that
        is stopping already has nothing more to save."""
        with self._changed:
            if save and self.stopping:
                return
            self.failure = self.failure or error
            self.stopping = True
            self.aborting = self.aborting or not save
            self.reason = self.reason or error.message
            self._changed.notify_all()

    def ask(self, command: CommandName, reason: str = "") -> None:
        """Take a wish down."""
        with self._changed:
            if command == "pause":
                self._paused_by_user = True
            elif command == "resume":
                self._paused_by_user = False
            elif command in get_args(Once):
                self._once.add(command)
            else:
                self.stopping = True
                self.aborting = self.aborting or command == "abort"
                self.reason = self.reason or reason
            self._changed.notify_all()

    def take(self, command: Once) -> bool:
        """Whether this was asked for since the last call."""
        with self._changed:
            wanted = command in self._once
            self._once.discard(command)
        return wanted

    def put_question(self, question: Question) -> None:
        """Take a question down."""
        with self._changed:
            self._questions.append(question)
            self._changed.notify_all()

    def next_question(self) -> Question | None:
        """Wait for a question; None once the job shall end."""
        with self._changed:
            self._changed.wait_for(lambda: self._questions or self.stopping)
            return None if self.stopping else self._questions.popleft()

    def take_question(self) -> Question | None:
        """A question that waits already, if one does."""
        with self._changed:
            return self._questions.popleft() if self._questions else None

    def wait_while_paused(self) -> None:
        """Block until resumed or stopped; what is asked for in between ends the wait too."""
        with self._changed:
            self._changed.wait_for(lambda: not self.paused or self.stopping or self._once)

    def wait_for_stop(self, seconds: float) -> bool:
        """Wait so long, less where the job shall end before; returns whether it shall."""
        with self._changed:
            return self._changed.wait_for(lambda: self.stopping, timeout=seconds)
