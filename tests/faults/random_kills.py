"""Kills trainings with SIGKILL at random moments, and goes on with them until they are through.

    python tests/faults/random_kills.py KILLS [SEED] [NAME=VALUE …]

The libraries are imported once; each attempt is a forked process that does what a job does. Prints
one JSON object: how often it was killed, how many steps a kill cost at most, how often a person
would have had to step in, and whether every run ended in the weights of the one left alone.
"""

import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

torch.set_num_threads(1)

import peft  # noqa: E402, F401 - imported once for all
import trl  # noqa: E402, F401
from datasets.utils.logging import disable_progress_bar  # noqa: E402

from trainer_core.config.load import load_config  # noqa: E402
from trainer_core.python import in_process  # noqa: E402
from trainer_core.python.in_process import train_here  # noqa: E402
from trainer_core.python.starting import earlier_one, new_one  # noqa: E402
from trainer_core.runs.events import decode  # noqa: E402
from trainer_core.runs.folder import RunFolder  # noqa: E402

# By then a run has finished, and a kill means nothing to it.
in_process.report_on = lambda _folder: None

SAVE_STEPS = 2
SETTINGS: dict[str, Any] = {
    "model.backend": "transformers",
    "data.limit": 60,
    "lora.rank": 4,
    "lora.dropout": 0.1,
    "training.steps": 12,
    "training.batch_size": 2,
    "training.gradient_accumulation": 2,
    "training.packing": "off",
    "training.eval_steps": 5,
    "training.save_steps": SAVE_STEPS,
    "training.sample_prompts": [],
}


def main(kills: int, seed: int, more: dict[str, str]) -> None:
    """Kill so often."""
    disable_progress_bar()
    generator = random.Random(seed)
    settings = {**SETTINGS, **more}
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_CACHE_HOME"] = place
        os.chdir(place)
        began = time.monotonic()
        whole = Path(place, "whole")
        assert _attempt(whole, settings, None) == 0, _log(whole)
        lasts = time.monotonic() - began
        expected = _digest(whole)
        found = {"kills": 0, "runs": 0, "interventions": 0, "different": 0, "lost": [0], "why": []}
        while found["kills"] < kills:
            found["runs"] += 1
            run = Path(place, f"run-{found['runs']}")
            _until_through(run, settings, generator, lasts, found, kills)
            if not (run / "adapter" / "last").is_dir() or _digest(run) != expected:
                found["different"] += 1
    print(json.dumps({**found, "lost": max(found["lost"])}))


def _until_through(
    run: Path,
    settings: dict[str, Any],
    generator: random.Random,
    lasts: float,
    found: dict[str, Any],
    kills: int,
) -> None:
    while True:
        after = generator.uniform(0.0, lasts) if found["kills"] < kills else None
        before, plans = _last_step(run), len(_plans(run))
        ended = _attempt(run, settings, after)
        for plan in _plans(run)[plans:]:  # none where it was killed before it came so far
            found["lost"].append(before - (plan.resumed_from or 0))
        if ended == -signal.SIGKILL:
            found["kills"] += 1
            continue
        if ended != 0:
            found["interventions"] += 1
            found["why"].append(_log(run))
        return


def _attempt(run: Path, settings: dict[str, Any], kill_after: float | None) -> int:
    """Begin the run or go on with it, in a process of its own; its exit code, negative for a
    signal."""
    child = os.fork()
    if child == 0:
        output = os.open(f"{run}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        try:
            folder = RunFolder(run)
            if folder.config.is_file() and folder.status.is_file():
                started = earlier_one(run, None, {}, several=False)
            else:  # perhaps killed before there was a run
                config = ROOT / "configs" / "demo" / "demo.yaml"
                started = new_one(load_config(config, values=settings), run, several=False)
            train_here(started, lambda _: None)
        except BaseException as error:
            print(f"LAST {type(error).__name__}: {error}", flush=True)
            os._exit(1)
        os._exit(0)
    if kill_after is not None:
        deadline = time.monotonic() + kill_after
        while time.monotonic() < deadline:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _events(run: Path) -> list[Any]:
    path = RunFolder(run).events
    return [decode(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []


def _last_step(run: Path) -> int:
    return next((e.step for e in reversed(_events(run)) if e.type == "metrics"), 0)


def _plans(run: Path) -> list[Any]:
    return [event for event in _events(run) if event.type == "plan"]


def _digest(run: Path) -> str:
    path = run / "adapter" / "last" / "adapter_model.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _log(run: Path) -> str:
    lines = Path(f"{run}.log").read_text(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.startswith("LAST")), "")


if __name__ == "__main__":
    pairs = dict(argument.split("=", 1) for argument in sys.argv[3:])
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, pairs)
