"""Why a job died that did not say so itself, in plain words."""

import signal
from dataclasses import dataclass

from trainer_core.runs.events import Failed
from trainer_core.runs.folder import RunFolder
from trainer_core.text import duration
from trainer_core.worker.memory_groups import MemoryGroup
from trainer_core.worker.trouble import Trouble, recognise

_FROM_OUTSIDE = {"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"}
_NATIVE = {
    "SIGSEGV": "it used memory that is not its own",
    "SIGILL": "this CPU lacks an instruction that a library uses",
    "SIGBUS": "a file that it had mapped was cut, or memory is faulty",
    "SIGFPE": "a division that has no result",
    "SIGABRT": "a library gave up",
}


@dataclass(frozen=True)
class Death:
    """What is known of a job that ended without a word.

    `code` is its exit code (negative: a signal), `step` the last that it finished, `output` the end
    of what it wrote in this life, `group` the control group in which the kernel killed for memory
    since it began, if it did. `silent` is for how many seconds it gave no sign of life in `stage`,
    where it was killed for that.
    """

    code: int | None
    step: int = 0
    output: str = ""
    group: MemoryGroup | None = None
    silent: float | None = None
    stage: str = ""


def explain(death: Death, folder: RunFolder) -> Failed:
    """The `failed` event of a death in `folder`."""
    found = _trouble(death)
    hint = f"{found.hint} Its output: {folder.worker_log}.".strip()
    return Failed(message=found.message, hint=hint, cause=found.cause, step=death.step)


def _trouble(death: Death) -> Trouble:
    if death.silent is not None:
        return _hung(death)
    name = _signal_name(death.code)
    if death.group is not None and name == "SIGKILL":
        words = f" ({death.group.words})" if death.group.words else ""
        return Trouble(
            "out-of-memory",
            f"the system ran out of memory and killed the job{words}",
            "Lower training.batch_size or model.max_length, or let it have more memory.",
        )
    if name in _FROM_OUTSIDE:
        return Trouble("killed", f"the job was killed from outside ({name})", "")
    said = recognise(death.output)
    if said is not None:
        return said
    if name:
        what = f": {_NATIVE[name]}" if name in _NATIVE else ""
        return Trouble("crashed", f"the job crashed in native code ({name}){what}", "")
    return Trouble("crashed", f"the job ended without a word (exit code {death.code})", "")


def _hung(death: Death) -> Trouble:
    where = f" in {death.stage}" if death.stage else ""
    after = f" after step {death.step:,}" if death.step else ""
    return Trouble(
        "hung",
        f"no sign of life for {duration(death.silent or 0)}{where}{after}: the job was ended",
        "What each of its threads was doing stands at the end of its output. If it was only slow, "
        "raise safety.stuck_seconds.",
    )


def _signal_name(code: int | None) -> str:
    """The signal behind a negative exit code; empty for any other."""
    if code is None or code >= 0:
        return ""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
