"""Does a terminal that nobody reads slow the training down?

    python benchmarks/stalled_terminal.py [STEPS]

Trains the demo's model several times in turn: watched by a dashboard whose terminal is read, and by
one whose terminal is not (a connection that hangs). Prints the median time of a step of each, from
the run's own record, and their ratio; the goal is a difference of at most 2 %.
"""

import itertools
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROUNDS = 3


def main(steps: int) -> None:
    """Print a line a run, and the ratio."""
    medians: dict[str, list[float]] = {"read": [], "stalled": []}
    with tempfile.TemporaryDirectory() as place:
        for number in range(ROUNDS):
            for how, found in medians.items():
                found.append(_train(Path(place, f"{how}-{number}"), steps, read=how == "read"))
                print(f"{how:<8} {found[-1] * 1000:.2f} ms a step", flush=True)
    read, stalled = (statistics.median(found) for found in medians.values())
    print(f"stalled / read: {stalled / read:.3f}")


def _train(folder: Path, steps: int, *, read: bool) -> float:
    """The median seconds of a step, without the first ten."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from trainer_core.cli import main; main()", "train"]
    settings = ["training.sample_prompts=[]", "training.eval_steps=100000", "safety.probe=off"]
    command += [str(ROOT / "configs/demo/demo.yaml"), "--no-unsloth", "--steps", str(steps)]
    command += [word for setting in settings for word in ("--set", setting)]
    environment = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": str(folder.parent)}
    process = subprocess.Popen(
        [*command, "--output", str(folder)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    if read:
        threading.Thread(target=_read, args=[ours], daemon=True).start()
    events = folder / "events.jsonl"
    while not events.exists() or b'"type":"finished"' not in events.read_bytes()[-4096:]:
        time.sleep(0.5)
    process.kill()
    process.wait()
    if not read:
        os.close(ours)
    lines = [json.loads(line) for line in events.read_bytes().splitlines()]
    ends = [line["elapsed"] for line in lines if line["type"] == "metrics"][10:]
    return statistics.median(after - before for before, after in itertools.pairwise(ends))


def _read(descriptor: int) -> None:
    try:
        while os.read(descriptor, 65536):
            pass
    except OSError:  # the other end is gone
        return


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
