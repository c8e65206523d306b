"""What a supervisor does with its job's process, and with what that leaves behind.

A process is only ever signalled as a child that was not waited for yet, whose number nobody else
can have, or with a look at when it was started.
"""

import ctypes
import faulthandler
import os
import signal
import sys
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess

import psutil

# prctl's number for it, in linux/prctl.h.
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> set[int]:
    """Become the parent of what our descendants leave behind when they die (Linux). Returns our
    children so far, which belong to Python."""
    if sys.platform == "win32":
        return set()
    resource_tracker.ensure_running()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return {child.pid for child in psutil.Process().children()}


def end_orphans(known: set[int], patience: float) -> None:
    """Kill our descendants but for the `known` and for those with a session of their own, if they
    do not end within `patience` seconds."""
    if sys.platform == "win32":
        return
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(OSError):  # it has just ended
            if child.pid not in known and os.getsid(child.pid) == os.getsid(0):
                found.append(child)
    _, left = psutil.wait_procs(found, timeout=patience)
    for child in left:
        with suppress(psutil.Error):  # which looks at when it was started, not at its number alone
            child.kill()
    psutil.wait_procs(left, timeout=1.0)


def is_suspended(process: BaseProcess) -> bool:
    """Whether a child of ours was stopped (SIGSTOP)."""
    try:
        return bool(psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def show_stacks_when_asked() -> None:
    """Let `ask_for_stacks` write what each thread of this process does to its stderr. It works
    even where Python itself stands still."""
    if sys.platform != "win32":
        faulthandler.register(signal.SIGUSR1, all_threads=True)


def ask_for_stacks(process: BaseProcess) -> None:
    """Ask a child of ours for them. It must not have been waited for: until then its number is its
    own, whether it lives or not."""
    if sys.platform != "win32" and process.is_alive() and process.pid is not None:
        os.kill(process.pid, signal.SIGUSR1)
