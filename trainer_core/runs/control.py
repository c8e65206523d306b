"""What the user can ask of a running job, and the flags the engine polls for it."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

CommandName = Literal["pause", "resume", "save", "evaluate", "stop", "abort"]
COMMANDS: tuple[str, ...] = get_args(CommandName)


MAX_QUESTIONS = 100


@dataclass(frozen=True, slots=True)
class Question:
    """Something a client wants to know; the reply carries the same `id`."""

    id: str
    about: dict[str, Any]


class Control:
    """Wishes of the user, set from any thread, polled by the engine between steps.

    `save` and `evaluate` are taken once; `pause` holds until `resume` or `stop`; `stop` saves and
    ends; `abort` ends without saving.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._save = False
        self._evaluate = False
        # A job that answers none keeps only the newest few.
        self._questions: deque[Question] = deque(maxlen=MAX_QUESTIONS)
        self.paused = False
        self.stopping = False
        self.aborting = False
        self.reason = ""
        # Set by the engine: whether a stop must wait for a save, and the last finished step.
        self.holds_work = False
        self.step = 0
        # What else must end before the process does, where it ends without the engine.
        self.before_exit: list[Callable[[], None]] = []

    def ask(self, command: CommandName, reason: str = "") -> None:
        """Take a wish down."""
        with self._changed:
            if command == "pause":
                self.paused = True
            elif command == "resume":
                self.paused = False
            elif command == "save":
                self._save = True
            elif command == "evaluate":
                self._evaluate = True
            else:
                self.stopping = True
                self.aborting = self.aborting or command == "abort"
                self.reason = self.reason or reason
            self._changed.notify_all()

    def take_save(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        with self._changed:
            wanted, self._save = self._save, False
        return wanted

    def take_evaluate(self) -> bool:
        """Whether a validation was asked for since the last call."""
        with self._changed:
            wanted, self._evaluate = self._evaluate, False
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

    def wait_while_paused(self) -> None:
        """Block until resumed or stopped; a checkpoint asked for in between ends the wait too."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self.paused or self.stopping or self._save or self._evaluate
            )
