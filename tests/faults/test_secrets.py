"""Secrets stay in the environment: no file, log, argument or message ever holds one."""

import subprocess
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.real_runs import COMMAND, DEMO, Cli, status_of, training, wait_for

CANARIES = {
    "HF_TOKEN": "hf_cAnArYcAnArYcAnArYcAnArYcAnArY01",
    "WANDB_API_KEY": "0123456789canary0123456789canary01234567",
    "BACKPROP_WEB_TOKEN": "canary-web-token-0123456789",
    "DATA_KEY": "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5MDE=",
    "AWS_SECRET_ACCESS_KEY": "cAnArY/cAnArY/cAnArY/cAnArY/cAnArY/0123",
}


def found_in(folder: Path) -> list[str]:
    """Where below `folder` a canary stands, in any file whatever it is."""
    return [
        f"{name} in {path}"
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
        for name, canary in CANARIES.items()
        if canary.encode() in path.read_bytes()
    ]


def arguments_of(pid: int) -> str:
    process = psutil.Process(pid)
    return " ".join(
        word for one in (process, *process.children(recursive=True)) for word in one.cmdline()
    )


def test_no_secret_is_written_anywhere_in_good_runs_and_bad(cli: Cli) -> None:
    cli.environment |= CANARIES
    run, failed = cli.folder / "run", cli.folder / "failed"
    process = cli.start(*training("--steps", "3", "--headless", "--output", str(run)))
    wait_for(lambda: (run / "status.json").exists() and status_of(run)["pid"])
    arguments = arguments_of(status_of(run)["pid"])
    output, error = process.communicate(timeout=240)
    assert process.returncode == 0, error

    # One that dies in native code, whose black box tells all that is known of it.
    process = cli.start(*training("--steps", "400", "--headless", "--output", str(failed)))
    wait_for(lambda: (failed / "checkpoints").exists() or (failed / "flight.json").exists())
    for child in psutil.Process(status_of(failed)["pid"]).children():
        if "resource_tracker" not in " ".join(child.cmdline()):
            child.send_signal(6)
    more = process.communicate(timeout=60)
    assert process.returncode == 1
    assert (failed / "black_box.json").exists()

    cli.run("export", str(run), "--format", "adapter")
    doctor = subprocess.run(  # whatever it finds on this machine
        [*COMMAND, "doctor", "--json"],
        env=cli.environment,
        capture_output=True,
        cwd=cli.folder,
        text=True,
    )
    said = "".join([arguments, output, error, *more, doctor.stdout, doctor.stderr])
    assert [name for name, canary in CANARIES.items() if canary in said] == []
    assert found_in(cli.folder) == []


def test_nothing_is_imported_from_the_folder_one_stands_in(cli: Cli) -> None:
    for name in ("psutil", "torch", "yaml", "sitecustomize", "trl", "faulthandler"):
        (cli.folder / f"{name}.py").write_text("open('pwned', 'w').close()\n")
    command = ["train", *training()[1:], "--steps", "2", "--output", str(cli.folder / "run")]
    environment = {**cli.environment, "PYTHONSAFEPATH": "1"}  # as the installed command starts
    cli.environment = environment
    cli.run(*command, "--headless")
    assert list(cli.folder.rglob("pwned")) == []


@pytest.mark.parametrize("name", ["HF_TOKEN", "DATA_KEY"])
def test_a_config_that_holds_a_secret_is_refused_without_repeating_it(cli: Cli, name: str) -> None:
    config = cli.folder / "run.yaml"
    config.write_text(f"{(DEMO / 'demo.yaml').read_text()}\nwandb:\n  key: {CANARIES[name]}\n")
    for command in (["train", "run.yaml", "--headless"], ["config", "check", "run.yaml"]):
        done = cli.run(*command, status=2)
        assert "run.yaml:" in done.stderr
        assert "wandb.key holds a" in done.stderr
        assert CANARIES[name] not in done.stdout + done.stderr
    assert found_in(cli.folder) == [f"{name} in {config}"]
