"""Why a job died, in plain words, from its exit code and the kernel's count of memory kills."""

import signal
from pathlib import Path

from trainer_core.runs.events import Failed
from trainer_core.runs.folder import RunFolder


def oom_kills() -> int:
    """How many processes of our control group the kernel has killed for memory so far."""
    try:
        # cgroup v2: one line, "0::/path"; v1 has no such count for an unprivileged reader.
        path = Path("/proc/self/cgroup").read_text(encoding="utf-8").strip().rpartition("::")[2]
        events = Path("/sys/fs/cgroup" + path, "memory.events").read_text(encoding="utf-8")
        return sum(int(x.split()[1]) for x in events.splitlines() if x.startswith("oom_kill "))
    except (OSError, ValueError, IndexError):
        return 0


def explain(code: int | None, out_of_memory: bool, step: int, folder: RunFolder) -> Failed:
    """The `failed` event for a job that ended with exit code `code` (negative: a signal)."""
    log = f"Its output: {folder.worker_log}. Continue with: backprop train --resume {folder.path}"
    if code is not None and code < 0:
        name = _signal_name(-code)
        if out_of_memory:
            return Failed(
                message="the system ran out of memory and killed the job",
                hint=f"Lower training.batch_size or model.max_length. {log}",
                cause="out-of-memory",
                step=step,
            )
        if name in {"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"}:
            message = f"the job was killed from outside ({name})"
            return Failed(message=message, hint=log, cause="killed", step=step)
        message = f"the job crashed in native code ({name})"
        return Failed(message=message, hint=log, cause="crashed", step=step)
    message = f"the job ended without a word (exit code {code})"
    return Failed(message=message, hint=log, cause="crashed", step=step)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
