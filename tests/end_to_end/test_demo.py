"""The demo as a person runs it: Unsloth, offline, and a model that has learned something."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.end_to_end.real_runs import ROOT, Cli, events

# Loaded by every Python process: whoever calls out of this machine is written down and refused.
NO_NETWORK = """
import os, socket
_connect = socket.socket.connect
def connect(self, address):
    if self.family == socket.AF_UNIX or str(address[0]).startswith("127."):
        return _connect(self, address)
    with open(os.environ["CALLS_OUT"], "a") as file:
        file.write(f"{address}\\n")
    raise OSError(101, "Network is unreachable")
socket.socket.connect = connect
"""


@pytest.mark.unsloth
def test_the_demo_trains_offline_and_learns(cli: Cli) -> None:
    if find_spec("unsloth") is None:  # not importorskip: it would patch this process
        pytest.skip("Unsloth is not installed")
    (cli.folder / "site").mkdir()
    (cli.folder / "site" / "sitecustomize.py").write_text(NO_NETWORK)
    calls = cli.folder / "calls.txt"
    cli.environment |= {"PYTHONPATH": f"{cli.folder / 'site'}", "CALLS_OUT": str(calls)}
    run = cli.folder / "run"
    done = cli.run("demo", "--headless", "--output", str(run))
    assert not calls.exists(), calls.read_text()
    assert "finished at step 240 of 240" in done.stdout
    assert "The plural of city is cities." in done.stdout

    said = {e["stage"]: e for e in events(run) if e["type"] == "stage"}
    assert "unsloth" in said["importing"]["detail"]
    losses = [e["values"]["loss"] for e in events(run) if e["type"] == "metrics"]
    assert len(losses) == 240
    assert losses[-1] < losses[0] / 10
    before, *during, after = [e for e in events(run) if e["type"] == "samples"]
    validated = [e["step"] for e in events(run) if e["type"] == "eval"]
    assert [e["step"] for e in during] == validated[:-1]
    assert (before["when"], after["when"]) == ("before", "after")
    for old, new in zip(before["answers"], after["answers"], strict=True):
        assert old["answer"] != new["answer"]

    script = ROOT / "benchmarks" / "demo_exact_match.py"
    output = subprocess.run(
        [sys.executable, str(script), str(run)], capture_output=True, text=True, check=True
    ).stdout
    score = json.loads(output.splitlines()[-1])
    assert score["before"] <= 0.10 * score["questions"]
    assert score["after"] >= 0.60 * score["questions"]
