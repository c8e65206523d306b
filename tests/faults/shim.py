"""Builds the fault shim (shim.c) and arms it in a process that was started with it."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("shim.c")


def build(folder: Path) -> Path:
    """The shim as a library. Skips the test where there is no C compiler or no Linux."""
    compiler = shutil.which("cc")
    if compiler is None or not Path("/proc/self/fd").is_dir():
        pytest.skip("needs a C compiler and Linux")
    library = folder / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-w", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


class Shim:
    """The shim in this process, which must have been started with LD_PRELOAD."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._library.fault_count.restype = ctypes.c_long

    def arm(self, folder: Path, call: int, *, calls: int = 1, error: int = 0) -> None:
        """Let the call of this number (from 1) and those after it, `calls` in all, that change what
        is in `folder` fail with `error`; without an error the process is killed there. Call 0
        never comes: then calls are only counted."""
        where = os.fsencode(folder)
        self._library.fault_arm(
            where, ctypes.c_long(call), ctypes.c_long(calls), ctypes.c_int(error)
        )

    def count(self) -> int:
        """How many such calls there were since it was armed."""
        return int(self._library.fault_count())
