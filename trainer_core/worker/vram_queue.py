"""A queue for the GPUs of a shared server: one user's runs that wait for memory start in the order
in which they came, one after the other.

Each waiting run holds a ticket, a pair of files in the user's state folder: `N.lock`, which it
locks for life (so that a killed run's ticket means nothing any more), and `N.json`, which says what
it waits for. Tickets are taken, and turns begun, behind one door (a lock), so that no two runs can
take the same memory for free.
"""

import json
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.runs.registry import state_folder

# Whoever is behind the door stays for milliseconds.
DOOR_SECONDS = 10.0


class Ticket(BaseModel):
    """What a run waits for: `bytes` free on one of `gpus` (UUIDs). Once `starting`, `gpus` is the
    one that it takes, and nobody else takes that until its turn is over."""

    format: int = 1
    number: int
    run: str
    bytes: int
    gpus: list[str]
    starting: bool = False


@dataclass(frozen=True)
class Standing:
    """A ticket's place: the living ones before it that want one of its GPUs, and how many after."""

    ahead: list[Ticket]
    behind: int


class Queue:
    """The tickets of this user on this machine (a state folder may be shared between several)."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or state_folder() / "vram-queue" / (platform.node() or "here")

    def take(self, run: str, wanted: int, gpus: list[str]) -> "Place":
        """Join the end of the queue. Raises UserError where the state folder cannot be used."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._door():
                number = 1 + max(self._numbers(), default=0)
                lock = FileLock(self._path(number, "lock"), thread_local=False)
                lock.acquire(blocking=False)
                ticket = Ticket(number=number, run=run, bytes=wanted, gpus=gpus)
                self._write(ticket)
        except OSError as error:
            raise UserError(
                f"the queue in {self._folder} cannot be used: {error.strerror or error}",
                hint="Mend that, or name another place in XDG_STATE_HOME.",
            ) from None
        return Place(self, ticket, lock)

    def living(self) -> list[Ticket]:
        """The tickets whose runs live, in order."""
        tickets = (self._read(number) for number in sorted(self._numbers()) if self._lives(number))
        return [ticket for ticket in tickets if ticket is not None]

    def begin(self, ticket: Ticket, gpu: str) -> Ticket | None:
        """Begin the turn of a ticket on one of its GPUs: the ticket as it is then, or None where
        another's turn is in between."""
        with self._door():
            if any(gpu in other.gpus for other in self.living() if other.number < ticket.number):
                return None
            begun = ticket.model_copy(update={"gpus": [gpu], "starting": True})
            self._write(begun)
            return begun

    def remove(self, number: int, lock: FileLock) -> None:
        """Take a ticket away that its holder, or whoever found it dead, has locked."""
        self._path(number, "json").unlink(missing_ok=True)
        self._path(number, "lock").unlink(missing_ok=True)
        lock.release()

    @contextmanager
    def _door(self) -> Iterator[None]:
        """Alone with the tickets; those of runs that are gone are taken away first."""
        door = FileLock(self._folder / "door", thread_local=False)
        try:
            door.acquire(timeout=DOOR_SECONDS, poll_interval=0.01)
        except Timeout:
            raise TimeoutError("another run is at it and does not go on") from None
        try:
            for number in self._numbers():
                with _free(self._path(number, "lock")) as lock:
                    if lock is not None:
                        self.remove(number, lock)
            yield
        finally:
            door.release()

    def _lives(self, number: int) -> bool:
        with _free(self._path(number, "lock")) as lock:
            return lock is None

    def _numbers(self) -> Iterable[int]:
        return [int(path.stem) for path in self._folder.glob("*.lock") if path.stem.isdigit()]

    def _path(self, number: int, kind: str) -> Path:
        return self._folder / f"{number:08d}.{kind}"

    def _write(self, ticket: Ticket) -> None:
        data = json.dumps(ticket.model_dump()).encode()
        write_atomically(self._path(ticket.number, "json"), data)

    def _read(self, number: int) -> Ticket | None:
        try:
            return Ticket.model_validate_json(self._path(number, "json").read_bytes())
        except (OSError, ValidationError):
            return None


class Place:
    """A run's own place in the queue, kept until `leave` or the end of the process."""

    def __init__(self, queue: Queue, ticket: Ticket, lock: FileLock) -> None:
        self._queue = queue
        self._lock = lock
        self.ticket = ticket

    def look(self) -> Standing:
        """Who is before and behind."""
        mine, others = self.ticket, self._queue.living()
        related = [t for t in others if t.number != mine.number and {*t.gpus} & {*mine.gpus}]
        ahead = [ticket for ticket in related if ticket.number < mine.number]
        return Standing(ahead, len(related) - len(ahead))

    def begin(self, gpu: str) -> bool:
        """Begin to take memory of a GPU; False where another does, or where nothing can be written
        down (a full disk): then it can be tried again."""
        try:
            begun = self._queue.begin(self.ticket, gpu)
        except OSError:
            return False
        self.ticket = begun or self.ticket
        return begun is not None

    def leave(self) -> None:
        """Give the place up; the next one may begin."""
        self._queue.remove(self.ticket.number, self._lock)


@contextmanager
def _free(path: Path) -> Iterator[FileLock | None]:
    """The lock, taken for as long as the block runs, or None where somebody holds it."""
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except (Timeout, OSError):
        yield None
        return
    try:
        yield lock
    finally:
        lock.release()
