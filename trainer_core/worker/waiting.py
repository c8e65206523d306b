"""Waiting for room on a shared GPU before a run takes any of it (`--wait-for-vram`)."""

import json
import logging
import os
import threading
import time
from dataclasses import dataclass, field

from trainer_core.errors import StoppedError, UserError
from trainer_core.files import write_atomically
from trainer_core.hardware.gpus import Gpu, GpuReader, Holder
from trainer_core.runs.control import Control
from trainer_core.runs.events import Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.status import read_status
from trainer_core.text import duration, size
from trainer_core.worker.vram_queue import Place, Queue, Standing

WISH = "wait.json"
LOOK_SECONDS = 1.0
# In so many looks in a row there must be room: memory comes and goes while others start.
STEADY_LOOKS = 5
# How long a run keeps others from what is free while it has not taken its first step.
TURN_SECONDS = 1800.0
# How often it is said again how much is free; a change of place is said at once.
SAY_SECONDS = 60.0
# More GPUs or processes than this are counted, not named.
NAMED = 4
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Room:
    """A GPU as somebody sees it who waits for room. `free` is None where NVML does not tell."""

    gpu: Gpu
    holders: list[Holder] = field(default_factory=list)

    @property
    def free(self) -> int | None:
        """Bytes that nobody has."""
        total, used = self.gpu.memory_total, self.gpu.memory_used
        return None if total is None or used is None else max(0, total - used)


def require_possible(wanted: int, gpus: list[Gpu], note: str) -> None:
    """Raise UserError where no wait can end: without a GPU, or for more than any GPU has."""
    if not gpus:
        raise UserError(
            f"there is no GPU here whose memory could be waited for: {note}",
            hint="Leave --wait-for-vram out.",
        )
    totals = [gpu.memory_total for gpu in gpus if gpu.memory_total is not None]
    if not totals:
        raise UserError(
            f"{gpus[0].name} does not tell how much of its memory is free",
            hint="Leave --wait-for-vram out.",
        )
    if wanted > max(totals):
        raise UserError(
            f"no GPU here has {size(wanted)}: the largest has {size(max(totals))}",
            hint="Wait for less.",
        )


def ask_to_wait(folder: RunFolder, wanted: int) -> None:
    """Let the run's next worker wait until a GPU has `wanted` bytes free. The wish stands until the
    wait is over: a run that was ended in it waits again when it is resumed."""
    data = json.dumps({"format": 1, "bytes": wanted}).encode()
    write_atomically(folder.path / WISH, data)


def wait_for_room(folder: RunFolder, recorder: Recorder, control: Control) -> None:
    """If that was asked for, wait until a visible GPU has room and this run's turn has come, and
    take that GPU. Nothing of CUDA may be loaded before.

    Raises UserError where the wait could never end, StoppedError if stopped.
    """
    wanted = _wanted(folder)
    if wanted is None:
        return
    reader, began = GpuReader(), time.monotonic()
    gpus = reader.read()
    require_possible(wanted, gpus, reader.note)
    status = read_status(folder)
    run = status.run if status is not None else folder.path.name
    place = Queue().take(run, wanted, [gpu.uuid for gpu in gpus])
    try:
        room = Waiting(wanted, reader, place, recorder, control).wait()
    except BaseException:
        place.leave()
        raise
    if len(gpus) > 1:  # with one there is nothing to choose
        os.environ["CUDA_VISIBLE_DEVICES"] = room.gpu.uuid
    log.info(
        "waited %s: GPU %d, %s, has %s free",
        duration(time.monotonic() - began),
        room.gpu.index,
        room.gpu.name,
        size(room.free or 0),
    )
    (folder.path / WISH).unlink(missing_ok=True)
    keeping = threading.Thread(target=_keep_turn, args=[place, recorder], daemon=True)
    keeping.start()


def _wanted(folder: RunFolder) -> int | None:
    try:
        return int(json.loads((folder.path / WISH).read_bytes())["bytes"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{folder.path / WISH} cannot be read",
            hint="Remove it, or say again with --wait-for-vram how much to wait for.",
        ) from None


def _keep_turn(place: Place, recorder: Recorder) -> None:
    """Until the run has taken its first step, and with it all the memory that it needs."""
    give_up_at = time.monotonic() + TURN_SECONDS
    while recorder.step == 0 and time.monotonic() < give_up_at:
        time.sleep(LOOK_SECONDS)
    place.leave()


class Waiting:
    """Looks again and again, and says what it waits for."""

    def __init__(
        self,
        wanted: int,
        reader: GpuReader,
        place: Place,
        recorder: Recorder,
        control: Control,
    ) -> None:
        self._wanted = wanted
        self._reader = reader
        self._place = place
        self._recorder = recorder
        self._control = control
        self._looks: dict[str, int] = {}
        self._said = ("", "")
        self._said_at = 0.0

    def wait(self) -> Room:
        """Until there is room, and our turn on it has begun; what there was of it."""
        while True:
            rooms = [Room(gpu, self._reader.holders(gpu.index)) for gpu in self._reader.read()]
            standing = self._place.look()
            for room in self._steady(rooms, standing):
                if self._place.begin(room.gpu.uuid):
                    return room
            self._say(rooms, standing)
            if self._control.wait_for_stop(LOOK_SECONDS):
                raise StoppedError("stopped while it waited for room on a GPU")

    def _steady(self, rooms: list[Room], standing: Standing) -> list[Room]:
        """The GPUs that nobody before us wants and that have had room for a while."""
        wanted_before = {gpu for ticket in standing.ahead for gpu in ticket.gpus}
        for room in rooms:
            fits = room.free is not None and room.free >= self._wanted
            ours = fits and room.gpu.uuid not in wanted_before
            self._looks[room.gpu.uuid] = self._looks.get(room.gpu.uuid, 0) + 1 if ours else 0
        return [room for room in rooms if self._looks[room.gpu.uuid] >= STEADY_LOOKS]

    def _say(self, rooms: list[Room], standing: Standing) -> None:
        place, free = _place_words(standing), "; ".join(_room_words(room) for room in rooms[:NAMED])
        now = time.monotonic()
        again = free != self._said[1] and now - self._said_at >= SAY_SECONDS
        if place == self._said[0] and not again:
            return
        self._said, self._said_at = (place, free), now
        detail = f"for {size(self._wanted)} of GPU memory, {place}: {free}"
        self._recorder.record(Stage(stage="waiting", detail=detail))


def _place_words(standing: Standing) -> str:
    """`2nd of 3 in the queue`, with who starts just now."""
    here, all_of_them = len(standing.ahead) + 1, len(standing.ahead) + 1 + standing.behind
    starting = [ticket.run for ticket in standing.ahead if ticket.starting]
    after = f" (after {', '.join(starting)}, starting)" if starting else ""
    return f"place {here} of {all_of_them} in the queue{after}"


def _room_words(room: Room) -> str:
    gpu = room.gpu
    if room.free is None:
        return f"GPU {gpu.index} does not answer"
    held = [
        f"{holder.name or 'process'} ({holder.pid}"
        + (f", {size(holder.memory)})" if holder.memory is not None else ")")
        for holder in room.holders
    ]
    more = [f"{len(held) - NAMED} more"] if len(held) > NAMED else []
    by = f", held by {', '.join(held[:NAMED] + more)}" if held else ""
    return f"GPU {gpu.index} has {size(room.free)} of {size(gpu.memory_total or 0)} free{by}"
