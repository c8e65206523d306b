"""What does each bad input cost, and what is said of it?

    python benchmarks/bad_inputs.py

Runs the real command on every input of tests/faults/bad_inputs.py and prints a table: exit status,
seconds, peak memory, the sentence. The goals are status 2, less than 5 s, less than 1 GB, no
traceback.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.faults.bad_inputs import EVERY  # noqa: E402

COMMAND = [sys.executable, "-c", "from trainer_core.cli import main; main()"]


def main() -> None:
    """Print the table, and how many kept the goals."""
    missed = met = 0
    for bad in EVERY:
        with tempfile.TemporaryDirectory() as place:
            arguments = bad.lay(Path(place))
            if any("\0" in word for word in arguments):
                continue  # no shell can give that to a command; the tests do
            status, seconds, peak, said = _meet(arguments, Path(place))
        met += 1
        good = status == 2 and seconds < 5 and peak < 1e9 and "Traceback" not in said
        missed += not good
        mark = " " if good else "!"
        words = said.strip().splitlines()[-1][:90] if said.strip() else ""
        print(f"{mark} {status} {seconds:5.2f} s {peak / 2**20:5.0f} MiB  {bad.name}: {words}")
    print(f"{met - missed} of {met} kept the goals")


def _meet(arguments: list[str], folder: Path) -> tuple[int, float, int, str]:
    environment = {**os.environ, "XDG_STATE_HOME": str(folder), "BAD_INPUTS_KEY": ""}
    began = time.monotonic()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    peak, watched = 0, psutil.Process(process.pid)
    while process.poll() is None and time.monotonic() - began < 60:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.Error:
            break
        time.sleep(0.01)
    seconds = time.monotonic() - began
    process.kill()
    return process.wait(), seconds, peak, process.communicate()[1]


if __name__ == "__main__":
    main()
