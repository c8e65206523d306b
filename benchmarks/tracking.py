"""What trackers cost a training: steps a second with all four, with one that hangs, and with none.

    python benchmarks/tracking.py [--rounds 3] [--steps 150]

Each round trains the demo three times, one after the other: without a tracker, with TensorBoard,
Weights & Biases (offline), Trackio and MLflow, and with a tracker whose library takes nothing for
60 seconds. A side's number is its steps a second, the first three left out. The weights must be
the same.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SKIPPED = 3
HANGS = """
import time
class Api:
    def runs(self, project):
        return []
class Run:
    def log(self, values, step):
        time.sleep(60)
    def finish(self):
        pass
def init(**_):
    return Run()
"""
SIDES = {"none": "none", "all four": "tensorboard,wandb,trackio,mlflow", "hanging": "trackio"}


def train(folder: Path, side: str, steps: int) -> tuple[float, float, str]:
    """Steps a second, seconds from the command to its end, and the hash of the weights."""
    folder.mkdir()
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "TRACKIO_DIR": str(folder / "trackio"),
        "WANDB_MODE": "offline",
        "PYTHONPATH": str(ROOT),
    }
    if side == "hanging":
        (folder / "trackio.py").write_text(HANGS)
        environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])
    command = [sys.executable, "-c", "from trainer_core.cli import main; main()", "train"]
    command += [str(ROOT / "configs/demo/demo.yaml"), "--no-unsloth", "--headless"]
    command += ["--steps", str(steps), "--output", "run", "--report-to", SIDES[side]]
    command += ["--set", "training.sample_prompts=[]", "--set", "training.eval_steps=10000"]
    began = time.monotonic()
    subprocess.run(
        command,
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    seconds = time.monotonic() - began
    lines = (folder / "run" / "events.jsonl").read_bytes().splitlines()
    elapsed = [e["elapsed"] for e in map(json.loads, lines) if e["type"] == "metrics"]
    weights = (folder / "run/adapter/last/adapter_model.safetensors").read_bytes()
    speed = (len(elapsed) - SKIPPED) / (elapsed[-1] - elapsed[SKIPPED - 1])
    return speed, seconds, hashlib.sha256(weights).hexdigest()[:12]


def main() -> None:
    """Interleave the sides and print each round, then the ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=150)
    asked = parser.parse_args()
    speeds: dict[str, list[float]] = {side: [] for side in SIDES}
    hashes = set()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        for number in range(asked.rounds):
            for side in SIDES:
                speed, seconds, weights = train(Path(place) / f"{number}-{side}", side, asked.steps)
                speeds[side].append(speed)
                hashes.add(weights)
                print(f"{side:9} {speed:6.2f} steps/s, {seconds:5.1f} s in all, weights {weights}")
    middle = {side: statistics.median(values) for side, values in speeds.items()}
    for side in list(SIDES)[1:]:
        print(f"{side}: {middle[side] / middle['none']:.3f} of the speed without")
    assert len(hashes) == 1, "the weights differ"


if __name__ == "__main__":
    main()
