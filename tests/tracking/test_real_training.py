"""A real training with trackers that raise and hang ends as one without; one that is killed and
resumed is told once."""

import hashlib
import importlib.util
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.real_runs import Cli, events, job_of, step_of, training, wait_for
from tests.faults.how_many import WHOLE
from tests.tracking.libraries import TRACKIO_THAT_HANGS, WANDB_THAT_RAISES, put, telling
from tests.tracking.reading import read_back

pytest.importorskip("torch")
STEPS = 30


@pytest.fixture
def cli(tmp_path: Path) -> Any:
    cli = Cli(tmp_path)
    yield cli
    cli.end_all()
    for process in telling(tmp_path):
        process.kill()


def _train(cli: Cli, name: str, *more: str) -> Path:
    run = cli.folder / name
    cli.run(*training("--steps", str(STEPS), "--headless", "--output", str(run), *more))
    return run


def _weights(run: Path) -> str:
    return hashlib.sha256((run / "adapter/last/adapter_model.safetensors").read_bytes()).hexdigest()


def _losses(run: Path) -> list[float]:
    return [event["values"]["loss"] for event in events(run) if event["type"] == "metrics"]


def _warnings(run: Path) -> list[str]:
    return [event["message"] for event in events(run) if event["type"] == "warning"]


def test_trackers_that_fail_change_nothing(cli: Cli) -> None:
    """Weights & Biases raises at the fifth step, Trackio hangs for a minute from the first on."""
    plain = _train(cli, "plain")
    put(cli.folder / "library", "trackio", f"SECONDS = 60\n{TRACKIO_THAT_HANGS}")
    cli.environment["PYTHONPATH"] = put(cli.folder / "library", "wandb", WANDB_THAT_RAISES)
    run = _train(cli, "run", "--report-to", "wandb,trackio")
    assert _weights(run) == _weights(plain)
    assert _losses(run) == _losses(plain)
    said = sorted(message for message in _warnings(run) if message not in _warnings(plain))
    assert len(said) == 2
    assert "trackio: has not taken the last 30 steps" in said[0]
    assert said[1] == "wandb: the server said 500 and more"
    assert events(run)[-1]["outcome"] == "finished"


@pytest.mark.skipif(not WHOLE, reason="make faults; without a training: test_trackers")
def test_a_killed_run_is_told_once(cli: Cli) -> None:
    if importlib.util.find_spec("tensorboard") is None:
        pytest.skip("tensorboard is not installed")
    run = cli.folder / "run"
    arguments = ["--steps", str(STEPS), "--headless", "--output", str(run)]
    arguments += ["--report-to", "tensorboard", "--set", "training.save_steps=5"]
    cli.start(*training(*arguments))
    wait_for(lambda: step_of(run) >= 8)
    os.kill(job_of(run).pid, signal.SIGKILL)
    cli.started[0].wait(60)
    cli.run("train", "--resume", str(run), "--headless")
    steps = [event["step"] for event in events(run) if event["type"] == "metrics"]
    assert len(steps) > STEPS  # some were trained again
    seen = read_back("tensorboard", run).curves["train/loss"]
    assert sorted(seen) == [*range(1, STEPS + 1)]
