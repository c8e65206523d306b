"""Libraries of our own in place of a tracker's, since the real ones do not fail when they are told
to. They have no more than what is called."""

import os
from pathlib import Path

import psutil

# As a tracker's server that says no at its fifth step; what it was told lies beside it.
WANDB_THAT_RAISES = """
def login(**_):
    return True

class Settings:
    def __init__(self, **_):
        pass

class Run:
    summary = {}
    def log(self, values, step):
        if step == 5:
            raise RuntimeError("the server said 500\\nand more")
    def finish(self, exit_code):
        pass

def init(**_):
    return Run()
"""
# Takes nothing for SECONDS, from its first row on.
TRACKIO_THAT_HANGS = """
import time

class Api:
    def runs(self, project):
        return []

class Markdown:
    def __init__(self, text):
        pass

class Run:
    def log(self, values, step):
        time.sleep(SECONDS)
    def finish(self):
        pass

def init(**_):
    return Run()
"""


def put(folder: Path, name: str, text: str) -> str:
    """Put a library into `folder`; returns the PYTHONPATH by which it is found first."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))


def telling(folder: Path) -> list[psutil.Process]:
    """The processes that tell trackers of the runs in `folder` now."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        if "trainer_core.tracking" in line and any(part.startswith(str(folder)) for part in line):
            found.append(process)
    return found
