"""SIGTERM in any phase, to any of the processes, and in any number: what was trained is saved, the
run is stopped, and nothing is left behind."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.real_runs import DEMO, events, step_of, wait_for
from tests.faults.how_many import WHOLE
from tests.faults.light_runs import LightRun, WorkerRun
from trainer_core.config.load import dump_config, load_config
from trainer_core.errors import EXIT_STOPPED

WORKER = Path(__file__).with_name("stopped_worker.py")
SETTINGS = [
    "model.backend=transformers",
    "training.steps=12",
    "training.eval_steps=4",
    "training.sample_prompts=[]",
    "safety.probe=off",
]
BEFORE = [*SETTINGS, "safety.probe=on", 'training.sample_prompts=["What is up?"]']
MULTI_RUN = [*SETTINGS, "multi_run.runs=2", "multi_run.eval_rows=8"]
SECONDS = 10

# Where there is something to save.
TRAINED = {"training", "evaluating", "paused"}
# Between two steps: tests/end_to_end/test_interruptions.py.
PHASES = [
    ("importing", "group", SETTINGS),
    ("evaluating", "storm", SETTINGS),
    ("paused", "job", SETTINGS),
]
MORE = [
    (stage, how, settings)
    for stage, settings in [
        ("importing", SETTINGS),
        ("tokenizing", SETTINGS),
        ("planning", SETTINGS),
        ("loading", SETTINGS),
        ("measuring", BEFORE),
        ("answering", BEFORE),
        ("training", SETTINGS),
        ("evaluating", SETTINGS),
        ("paused", SETTINGS),
        ("scoring", MULTI_RUN),
        ("merging", MULTI_RUN),
    ]
    for how in ("job", "supervisor", "group", "storm")
]


@pytest.fixture
def started() -> Iterator[list[WorkerRun]]:
    runs: list[WorkerRun] = []
    yield runs
    for run in runs:
        run.kill()


@pytest.mark.parametrize(("stage", "how", "settings"), PHASES if not WHOLE else MORE)
def test_a_stop_saves_and_leaves_nothing_behind(
    tmp_path: Path, started: list[WorkerRun], stage: str, how: str, settings: list[str]
) -> None:
    config = dump_config(load_config(DEMO / "demo.yaml", settings))
    run = WorkerRun(tmp_path / "run", WORKER, config, STAGE=stage, STOP=how)
    started.append(run)
    run.start()
    assert run.end() == EXIT_STOPPED, run.folder.worker_log.read_text()[-2000:]
    said = events(run.path)
    assert (said[-1]["type"], said[-1]["outcome"]) == ("finished", "stopped")
    assert run.status["state"] == "stopped"
    assert run.status["exit_status"] == EXIT_STOPPED
    assert [event["n"] for event in said] == list(range(1, len(said) + 1))
    if stage in TRAINED:
        step = step_of(run.path)
        assert step >= 3
        assert (run.folder.checkpoints / f"step-{step}" / "manifest.json").exists()
        assert (run.folder.adapter / "last" / "adapter_model.safetensors").exists()
    run.require_nothing_left()
    if WHOLE:
        begun = next(e for e in said if e["type"] == "stage" and e["stage"] == stage)
        assert said[-1]["time"] - begun["time"] <= SECONDS


def test_a_stop_before_the_job_says_a_word(tmp_path: Path, started: list[WorkerRun]) -> None:
    run = LightRun(tmp_path / "run", "wait")
    started.append(run)
    process = run.start()
    wait_for(lambda: run.status["address"])
    process.terminate()
    assert run.end() == EXIT_STOPPED
    assert run.status["state"] == "stopped"
    run.require_nothing_left()


@pytest.mark.skipif(not WHOLE, reason="waits at random; `make faults` runs it")
@pytest.mark.parametrize("seed", range(50))
def test_a_stop_at_any_moment_of_a_start(
    tmp_path: Path, started: list[WorkerRun], seed: int
) -> None:
    run = LightRun(tmp_path / "run", "wait")
    started.append(run)
    process = run.start()
    time.sleep(random.Random(seed).uniform(0.1, 1.5))
    process.send_signal(signal.SIGTERM)
    # Before it has read our first line, Python lets SIGTERM end it: nothing was begun.
    assert run.end() in {EXIT_STOPPED, -signal.SIGTERM}
    run.require_nothing_left()
