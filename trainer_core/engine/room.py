"""Room on the disk: what is to be saved waits for it, visibly, and goes on when there is some."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from trainer_core.errors import BackpropError
from trainer_core.runs.control import Control
from trainer_core.runs.events import Notice, Stage
from trainer_core.runs.recorder import Recorder
from trainer_core.text import size

# More than was written the last time: what is saved may grow, and others write too.
SPARE = 1.2
POLL_SECONDS = 2.0
_FULL = {errno.ENOSPC, errno.EDQUOT}
# What safetensors says, whose errors carry no number.
_FULL_WORDS = ("No space left on device", "Disk quota exceeded")

Made = TypeVar("Made")


class NoRoomError(BackpropError):
    """The disk is full, and nobody waits for room."""


class Room:
    """The room of the disk that a run folder is on."""

    def __init__(
        self, folder: Path, recorder: Recorder, control: Control, policy: Literal["wait", "stop"]
    ) -> None:
        self._folder = folder
        self._recorder = recorder
        self._control = control
        self._waits = policy == "wait"

    def put(self, what: str, needed: int, write: Callable[[], Made]) -> Made:
        """What `write` returns, which saves `what` in about `needed` bytes: when there is room for
        that and a fifth more, and once more if the disk was full after all.

        Raises NoRoomError where the config says not to wait or the user has ended the run, and
        what `write` raises for other reasons.
        """
        before, waiting = self._recorder.stage, False
        while True:
            lack = self._lack(needed)
            if not lack:
                try:
                    made = write()
                except Exception as error:
                    if not is_full(error):
                        raise
                    lack = "the disk ran full while it was written"
                else:
                    if waiting:
                        self._recorder.record(Stage(stage=before, detail=f"saved {what}"))
                    return made
            if not self._waits or self._control.stopping:
                raise NoRoomError(
                    f"no room for {what} in {self._folder}: {lack}",
                    hint="Make room and resume the run; what was saved before stands.",
                )
            if not waiting:
                waiting = True
                self._say(what, lack)
            self._control.wait_for_stop(POLL_SECONDS)

    def _lack(self, needed: int) -> str:
        """What is missing, in words; empty if there is room."""
        free, wanted = shutil.disk_usage(self._folder).free, int(needed * SPARE)
        if free >= wanted:
            return ""
        return f"{size(wanted)} are needed, {size(free)} are free"

    def _say(self, what: str, lack: str) -> None:
        self._recorder.record(
            Notice(
                message=f"the disk is full: no room for {what} ({lack})",
                hint=f"Make room on the disk of {self._folder}: the run waits and goes on then.",
            )
        )
        self._recorder.record(Stage(stage="paused", detail=f"no room for {what}: {lack}"))


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk, or the user's share of it, is full."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return any(words in str(error) for words in _FULL_WORDS)
