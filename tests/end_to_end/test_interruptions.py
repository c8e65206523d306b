"""What people and machines do to a run, and what is left of it afterwards."""

import hashlib
import json
import os
import signal
from pathlib import Path

import pytest
from filelock import FileLock

from tests.end_to_end.real_runs import Cli, events, job_of, status_of, step_of, training, wait_for
from tests.faults.how_many import WHOLE


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_ctrl_c_saves_and_a_resume_ends_in_the_same_weights(cli: Cli) -> None:
    run = ["--steps", "40", "--set", "lora.dropout=0.1", "--headless"]
    whole, broken = cli.folder / "whole", cli.folder / "broken"
    cli.run(*training(*run, "--output", str(whole)))

    process = cli.start(*training(*run, "--output", str(broken)))
    wait_for(lambda: step_of(broken) >= 7)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    stopped_at = step_of(broken)
    assert stopped_at < 40
    assert (broken / "checkpoints" / f"step-{stopped_at}" / "manifest.json").exists()
    assert (broken / "adapter" / "last" / "adapter_model.safetensors").exists()
    assert status_of(broken)["state"] == "stopped"
    assert f"**Stopped** at step {stopped_at} of 40" in (broken / "report.md").read_text()

    cli.run("train", "--resume", str(broken), "--headless")
    plans = [e for e in events(broken) if e["type"] == "plan"]
    assert plans[-1]["resumed_from"] == stopped_at
    name = "adapter/last/adapter_model.safetensors"
    assert digest(broken / name) == digest(whole / name)
    losses = [
        {e["step"]: e["values"]["loss"] for e in events(run) if e["type"] == "metrics"}
        for run in (whole, broken)
    ]
    assert losses[0] == losses[1]
    numbers = [e["n"] for e in events(broken)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_ctrl_c_twice_aborts_without_saving(cli: Cli) -> None:
    folder = cli.folder / "run"
    process = cli.start(*training("--steps", "400", "--headless", "--output", str(folder)))
    wait_for(lambda: step_of(folder) >= 3)
    job_of(folder).suspend()  # so that it can obey neither wish: the second must kill it
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "stopping and saving" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert not (folder / "adapter" / "last").exists()
    assert status_of(folder)["state"] == "stopped"


def test_a_stop_before_training_ends_at_once(cli: Cli) -> None:
    folder = cli.folder / "run"
    process = cli.start(*training("--steps", "400", "--headless", "--output", str(folder)))
    wait_for(lambda: any(e.get("stage") == "importing" for e in events(folder)))
    cli.run("stop", str(folder))
    assert process.wait(30) == 130
    assert not any(e["type"] == "plan" for e in events(folder))


def test_a_killed_job_is_explained_and_can_be_resumed(cli: Cli) -> None:
    folder = cli.folder / "run"
    run = ["--steps", "40", "--set", "training.save_steps=5", "--headless", "--output", str(folder)]
    process = cli.start(*training(*run))
    wait_for(lambda: (folder / "checkpoints" / "step-5").exists())
    job_of(folder).kill()
    assert process.wait(30) == 1
    _, error = process.communicate()
    assert "killed from outside (SIGKILL)" in error
    assert "--resume" in error
    assert status_of(folder)["state"] == "failed"
    assert "killed from outside (SIGKILL)" in (folder / "report.md").read_text()
    cli.run("train", "--resume", str(folder), "--headless")
    assert status_of(folder)["state"] == "finished"
    report = (folder / "report.md").read_text()
    assert "**Finished** at step 40 of 40." in report
    assert "| gone on with | 1 time |" in report
    for told in ("| train | 508 | 508 |", "| training.save\\_steps | 5 | user |", "plots/loss.png"):
        assert told in report
    page = cli.run("report", str(folder), "--html").stdout
    assert page == f"{folder / 'report.html'}\n"
    assert (folder / "report.html").read_text().count("data:image/png;base64,") >= 6


def test_a_job_whose_supervisor_died_saves_and_stops(cli: Cli) -> None:
    folder = cli.folder / "run"
    cli.start(*training("--steps", "400", "--headless", "--output", str(folder)))
    wait_for(lambda: step_of(folder) >= 3)
    job = job_of(folder)
    os.kill(status_of(folder)["pid"], signal.SIGKILL)
    wait_for(lambda: status_of(folder)["state"] == "stopped")
    wait_for(lambda: not job.is_running() or job.status() == "zombie")
    assert (folder / "adapter" / "last" / "adapter_model.safetensors").exists()
    with FileLock(folder / "lock", timeout=20):
        assert "**Stopped**" in (folder / "report.md").read_text()


@pytest.mark.skipif(not WHOLE, reason="long: by `make faults`")
def test_a_client_that_is_stopped_slows_nothing_and_misses_nothing(cli: Cli) -> None:
    folder = cli.folder / "run"
    output = cli.folder / "output.jsonl"
    arguments = training("--steps", "60", "--json", "--output", str(folder))
    process = cli.start(*arguments)
    wait_for(lambda: step_of(folder) >= 3)
    process.send_signal(signal.SIGSTOP)
    before = step_of(folder)
    wait_for(lambda: step_of(folder) >= before + 20)
    process.send_signal(signal.SIGCONT)
    text, _ = process.communicate(timeout=90)
    output.write_text(text)
    assert process.returncode == 0
    seen = [json.loads(line)["n"] for line in text.splitlines()]
    numbered = [n for n in seen if n]
    assert numbered == [e["n"] for e in events(folder)]


def test_sigterm_to_the_worker_saves(cli: Cli) -> None:
    folder = cli.folder / "run"
    process = cli.start(*training("--steps", "400", "--headless", "--output", str(folder)))
    wait_for(lambda: step_of(folder) >= 3)
    os.kill(status_of(folder)["pid"], signal.SIGTERM)
    assert process.wait(60) == 130
    assert (folder / "checkpoints" / f"step-{step_of(folder)}").is_dir()


def test_pause_holds_the_steps_until_resume(cli: Cli) -> None:
    from trainer_core.runs.folder import RunFolder
    from trainer_core.worker.client import RunClient

    folder = cli.folder / "run"
    process = cli.start(*training("--steps", "60", "--headless", "--output", str(folder)))
    wait_for(lambda: step_of(folder) >= 3)
    client = RunClient(RunFolder(folder))
    assert client.wait_connected(10)
    client.send("pause")
    wait_for(lambda: status_of(folder)["state"] == "paused")
    held = step_of(folder)
    client.send("save")
    wait_for(lambda: (folder / "checkpoints" / f"step-{held}").exists())
    assert step_of(folder) == held
    client.send("resume")
    wait_for(lambda: step_of(folder) > held)
    client.close()
    assert process.wait(90) == 0


def test_a_second_start_in_the_same_folder_is_refused(cli: Cli) -> None:
    folder = cli.folder / "run"
    process = cli.start(*training("--steps", "400", "--headless", "--output", str(folder)))
    wait_for(lambda: status_of(folder)["address"] if (folder / "status.json").exists() else "")
    done = cli.run("train", "--resume", str(folder), "--headless", status=2)
    assert "running already" in done.stderr
    cli.run("stop", str(folder), "--abort")
    assert process.wait(30) == 130
