"""An error as the last event of its job."""

import os
import traceback

from trainer_core.errors import BackpropError
from trainer_core.runs.events import Failed
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.going_on import way_on
from trainer_core.text import one_line
from trainer_core.worker.black_box import write_black_box
from trainer_core.worker.trouble import recognise

MAX_REASON = 300


def failed(error: Exception, folder: RunFolder, step: int = 0) -> Failed:
    """The `failed` event of a job that `error` ended after `step`, with the black box that its hint
    names. A user's mistake needs none."""
    way = ""
    if isinstance(error, BackpropError):  # whose hint says what to do
        ended = _given_up(error)
    else:
        ended, way = _unexpected(error), way_on(folder)
    ended.step = step
    if ended.cause != "user":
        text = "".join(traceback.format_exception(error))
        write_black_box(folder, ended, pid=os.getpid(), traceback=text, way=way)
    return ended


def _given_up(error: BackpropError) -> Failed:
    message = f"{error.where}: {error.message}" if error.where else error.message
    return Failed(
        message=message, hint=error.hint, cause=error.cause, exit_status=error.exit_status
    )


def _unexpected(error: Exception) -> Failed:
    """What nobody caught: memory, the GPU, or a bug."""
    reason, kind = one_line(str(error), limit=MAX_REASON), type(error).__name__
    said = recognise(f"{kind}: {error}")
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError":
        own = isinstance(error, MemoryError) and reason
        message = reason if own else "the job ran out of memory"
        hint = "Lower training.batch_size or model.max_length."
        return Failed(message=message, hint=hint, cause="out-of-memory")
    if said is not None:
        return Failed(message=f"{said.message}: {reason}", hint=said.hint, cause=said.cause)
    return Failed(
        message=f"{kind}: {reason}",
        hint="This is a mistake of the program, not yours: please report it.",
    )
