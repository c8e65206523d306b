"""Milliseconds a training step beside another program that takes one core, with torch's threads
waiting as libgomp has them wait, and as a job has them wait (GOMP_SPINCOUNT in worker/job.py).

    python benchmarks/busy_core.py [STEPS]

Runs the demo's training four times, in a folder of its own: each way, alone and beside a program
that does nothing but work.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DEMO = Path(__file__).parents[1] / "configs" / "demo" / "demo.yaml"
BEFORE = "30000000000"  # what libgomp does of itself where there are no more threads than cores


def main() -> None:
    """Train four times."""
    steps = sys.argv[1] if len(sys.argv) > 1 else "50"
    found = {}
    for busy in (False, True):
        other = [subprocess.Popen([sys.executable, "-c", "while True: pass"])] if busy else []
        for way, spins in (("libgomp", BEFORE), ("ours", None)):
            found[way] = _step(steps, spins)
            print(f"{'beside' if busy else 'alone '} {way:8} {found[way]:8.1f} ms/step", flush=True)
        for one in other:
            one.kill()
            one.wait()
        print(f"       ratio {found['libgomp'] / found['ours']:.2f}")


def _step(steps: str, spins: str | None) -> float:
    folder = Path(tempfile.mkdtemp())
    environment = {
        name: value for name, value in os.environ.items() if name not in {"OMP_NUM_THREADS"}
    } | {"XDG_STATE_HOME": str(folder / "state")}
    if spins is not None:
        environment["GOMP_SPINCOUNT"] = spins
    settings = ["sample_prompts=[]", "eval_steps=1000", "save_steps=1000", f"steps={steps}"]
    flags = [word for one in settings for word in ("--set", f"training.{one}")]
    command = [sys.executable, "-c", "from trainer_core.cli import main; main()", "train"]
    command += [str(DEMO), "--no-unsloth", "--headless", "--output", str(folder / "run"), *flags]
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True)
        lines = (folder / "run" / "events.jsonl").read_text().splitlines()
        times = [e["elapsed"] for line in lines if (e := json.loads(line))["type"] == "metrics"]
        return 1000 * (times[-1] - times[4]) / (len(times) - 5)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
