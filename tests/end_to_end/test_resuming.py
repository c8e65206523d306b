"""Going on with a run from the command line: by the same command, and with other settings."""

from tests.end_to_end.real_runs import Cli, events, job_of, status_of, step_of, training, wait_for


def test_the_same_command_goes_on_until_the_run_has_finished(cli: Cli) -> None:
    folder = cli.folder / "run"
    settings = ["--steps", "12", "--set", "training.save_steps=2", "--batch-size", "2"]
    command = training(*settings, "--headless", "--output", str(folder))
    process = cli.start(*command)
    wait_for(lambda: (folder / "checkpoints" / "step-2").exists())
    job_of(folder).kill()
    assert process.wait(30) == 1

    refused = cli.run(*command, "--set", "run.resume=never", status=2)
    assert "already holds a run" in refused.stderr
    another = cli.run(*command, "--seed", "8", status=2)
    assert "holds a run of another config" in another.stderr

    done = cli.run(*command)
    assert "holds this very run, not finished: it goes on" in done.stderr
    assert status_of(folder)["state"] == "finished"
    said = [e["message"] for e in events(folder) if e["type"] == "log"]
    assert any(line.startswith("resume proof: ") and "next are" in line for line in said)

    finished = cli.run(*command, status=2)
    assert "has finished" in finished.stderr
    more = ["--resume", str(folder), "--headless"]
    assert "--warm" in cli.run("train", *more, "--set", "training.steps=14", status=2).stderr
    warm = cli.run("train", *more, "--warm", "--set", "training.steps=14")
    assert "training.steps: 12, now 14" in warm.stdout
    assert step_of(folder) == 14
