"""`backprop runs` and `backprop replay` as a person calls them, on a real run and its replays."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.end_to_end.real_runs import COMMAND, DEMO, Cli, events, status_of, wait_for
from tests.end_to_end.real_runs import training as small_training
from trainer_core import Trainer


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A home with one run of twelve steps: its intervals, rank and length are planned."""
    cli = Cli(tmp_path_factory.mktemp("home"))
    rows = (DEMO / "train.jsonl").read_text().splitlines()[:200]
    (cli.folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
    wish = ["--data", "rows.jsonl", "--model", str(DEMO / "base"), "--steps", "12", "--no-unsloth"]
    cli.run("train", *wish, "--batch-size", "8", "--headless", "--output", "first")
    yield cli
    cli.end_all()


@pytest.fixture
def copied(home: Cli, cli: Cli) -> Cli:
    """A home of this test's own, with a copy of the run, listed."""
    shutil.copytree(home.folder / "first", cli.folder / "first")
    listing = cli.folder / "state" / "backprop" / "runs.jsonl"
    listing.parent.mkdir(parents=True)
    line = {"format": 1, "id": "x", "path": str(cli.folder / "first")}
    listing.write_text(json.dumps(line) + "\n")
    return cli


def losses(folder: Path) -> list[tuple[int, Any, Any]]:
    return [
        (e["step"], e["values"]["loss"], e["values"]["grad_norm"])
        for e in events(folder)
        if e["type"] == "metrics"
    ]


def weights(folder: Path) -> bytes:
    return (folder / "adapter" / "last" / "adapter_model.safetensors").read_bytes()


def test_a_replay_is_the_same_training_bit_for_bit(home: Cli) -> None:
    first, again = home.folder / "first", home.folder / "again"
    said = home.run("replay", "first", "--headless", "--output", "again").stderr
    assert f"a replay of {status_of(first)['run']}, with the same settings" in said
    assert len(losses(again)) == 12
    assert losses(again) == losses(first)
    assert weights(again) == weights(first)
    assert not [e for e in events(again) if e["type"] == "warning" and "changed" in e["message"]]
    page = home.run("runs", "diff", "first", "again").stdout
    assert "loss: the same to the last bit at all 12 steps" in page
    found = json.loads(home.run("runs", "diff", "first", "again", "--json").stdout)
    assert all(pair["same"] for pair in found["settings"])
    assert f"replay of   {status_of(first)['run']}" in home.run("runs", "show", "again").stdout
    refused = home.run("replay", "first", "--headless", "--output", "again", status=2).stderr
    assert "already holds a run" in refused


def test_a_replay_of_other_data_with_other_steps(home: Cli) -> None:
    first, other = home.folder / "first", home.folder / "other"
    rows = home.folder / "rows.jsonl"
    whole = rows.read_text()
    rows.write_text("\n".join(whole.splitlines()[:120]) + "\n")
    try:
        said = home.run(
            "replay", "first", "--override", "training.steps=3", "--headless", "--output", "other"
        )
    finally:
        rows.write_text(whole)
    assert "with training.steps=3" in said.stderr
    assert "planned anew: " in said.stderr
    (warned,) = (e for e in events(other) if e["type"] == "warning")
    assert warned["message"].startswith(f"since {status_of(first)['run']} this changed: the train")
    order = [e["type"] for e in events(other)]
    assert order.index("warning") < order.index("metrics")
    assert status_of(other)["total_steps"] == 3
    page = home.run("runs", "diff", "first", "other").stdout
    assert "training.steps" in page
    assert "train rows: 190 and 114" in page
    assert "lora.rank" not in page


def test_a_mistake_in_an_override_starts_nothing(home: Cli) -> None:
    for wrong in ("training.stepps=3", "training.steps", "model.base=/nowhere"):
        home.run("replay", "first", "--set", wrong, "--headless", "--output", "wrong", status=2)
    assert not (home.folder / "wrong").exists()
    assert "no run is called" in home.run("replay", "nobody", status=2).stderr


def test_list_alone_and_with_filters(copied: Cli) -> None:
    listed = json.loads(copied.run("runs", "--json").stdout)
    assert listed == json.loads(copied.run("runs", "list", "--json").stdout)
    assert (listed["state"], listed["step"]) == ("finished", 12)
    assert "key_file" not in listed
    for fitting in (
        ["--state", "finished,failed"], ["--model", "BASE"], ["--data", "rows"],
        ["--since", "7d", "--sort", "eval", "-n", "1"], ["--name", listed["run"][:8]],
    ):  # fmt: skip
        assert listed["run"] in copied.run("runs", "list", *fitting).stdout
    assert listed["run"] in copied.run("runs", *fitting).stdout
    assert "No run is like that" in copied.run("runs", "--state", "failed").stdout
    assert copied.run("runs", "--since", "2999-01-01", "--json").stdout == ""
    wrong = copied.run("runs", "--state", "done", status=2).stderr
    assert wrong.startswith("backprop: no state is called done. There are ")
    assert len(wrong.splitlines()) == 1
    copied.run("runs", "--since", "soon", status=2)
    copied.run("runs", "--sort", "size", status=2)


def test_show(copied: Cli) -> None:
    page = copied.run("runs", "show", "last").stdout
    for words in ("12 of 12", "train 190, ", "adapter/best", "checkpoints/step-12", "lora.rank"):
        assert words in page
    assert len(page.splitlines()) < 60
    facts = json.loads(copied.run("runs", "show", "first", "--json").stdout)
    assert facts["loss"]["points"] == 12
    assert facts["settings"]["training.batch_size"] == {
        "value": 8, "origin": "user", "why": "as configured",
    }  # fmt: skip
    assert facts["unread"] == []


def test_export(copied: Cli) -> None:
    (line,) = copied.run("runs", "export").stdout.splitlines()
    assert json.loads(line) == json.loads(copied.run("runs", "show", "last", "--json").stdout)
    copied.run("runs", "export", "first", "first", "--metrics", "--output", "all.jsonl")
    written = copied.folder / "all.jsonl"
    rows = [json.loads(line) for line in written.read_text().splitlines()]
    assert len(rows) == 2
    steps = [row["step"] for row in rows[0]["metrics"] if row["event"] == "log"]
    assert steps == list(range(1, 13))
    before = written.read_text()
    copied.run("runs", "export", "nobody", "--output", "all.jsonl", status=2)
    assert written.read_text() == before
    copied.run("runs", "export", "--output", "no/such/folder.jsonl", status=2)
    assert copied.run("runs", "export", "--state", "failed").stdout == ""
    assert copied.run("runs", "export", "first", "--since", "7d", "--model", "base").stdout
    assert not list(copied.folder.glob(".all*"))


def test_rm_says_what_goes_and_needs_a_yes(copied: Cli) -> None:
    first = copied.folder / "first"
    assert "no run is named" in copied.run("runs", "rm", status=2).stderr
    done = copied.run("runs", "rm", "last", status=2)
    assert str(first) in done.stdout
    assert "MiB" in done.stdout
    assert "Say --yes" in done.stderr
    assert first.exists()
    for nothing in (
        ["--failed"], ["--older-than", "30d"], ["last", "--failed"], ["--name", "another"],
        ["--since", "2999-01-01"], ["--failed", "--data", "rows"],
    ):  # fmt: skip
        assert "nothing to remove" in copied.run("runs", "rm", *nothing, "--yes").stdout
    done = copied.run("runs", "rm", "last", "--checkpoints-only", "--yes", "--json")
    gone = {str(first / "checkpoints" / f"step-{step}") for step in (10, 12)}
    assert {*json.loads(done.stdout)["parts"]} == gone
    assert list((first / "checkpoints").iterdir()) == []
    assert weights(first)
    for blank in ("--model", "--data", "--name", "--state"):
        assert "is blank" in copied.run("runs", "rm", blank, "", "--yes", status=2).stderr
    foreign = copied.folder / "foreign"
    foreign.mkdir()
    (foreign / "status.json").write_text('{"run": "x", "pid": 999999999}')
    assert "is no run's folder" in copied.run("runs", "rm", str(foreign), "-y", status=2).stderr
    size = sum(path.stat().st_size for path in first.rglob("*") if path.is_file())
    run = status_of(first)["run"]
    some = ("--older-than", "0m", "--state", "finished", "--model", "base", "--since", "7d")
    done = copied.run("runs", "rm", *some, "--yes", "--json")
    assert json.loads(done.stdout) == {
        "run": run, "state": "finished", "path": str(first), "bytes": size, "parts": None,
    }  # fmt: skip
    assert not first.exists()
    assert foreign.exists()
    assert "No runs yet" in copied.run("runs").stdout


def test_rm_keeps_what_answers_is_exported_and_trained_on(copied: Cli) -> None:
    first = copied.folder / "first"
    done = copied.run("runs", "rm", "first", "--keep-adapter", "--yes", "--json")
    gone = [Path(part).name for part in json.loads(done.stdout)["parts"]]
    assert {"checkpoints", "worker.log", "metrics_stream.jsonl"} <= {*gone}
    assert {*gone}.isdisjoint(path.name for path in first.iterdir())
    copied.run("predict", "first", "--split", "validation", "-n", "2", "--max-tokens", "4")
    copied.run("export", "first", "--format", "adapter")
    assert (first / "exports" / "1" / "adapter" / "adapter_model.safetensors").is_file()
    assert Trainer.load(str(first)) is not None


def test_rm_asks_on_a_terminal(copied: Cli) -> None:
    first = copied.folder / "first"
    for answer, gone in (("n", False), ("", False), ("y", True)):
        child = pexpect.spawn(
            COMMAND[0], [*COMMAND[1:], "runs", "rm", "last"], cwd=str(copied.folder),
            env=copied.environment, encoding="utf-8", timeout=60,
        )  # fmt: skip
        child.expect(r"Remove .* of 1 run\? \[y/N\] ")
        child.sendline(answer)
        child.expect("Removed" if gone else "Nothing was removed")
        child.expect(pexpect.EOF)
        assert first.exists() is not gone


def test_rm_leaves_a_run_that_goes_on(cli: Cli) -> None:
    run = cli.folder / "run"
    process = cli.start(*small_training("--steps", "5000", "--headless", "--output", str(run)))
    wait_for(lambda: (run / "events.jsonl").exists() and "metrics" in str(events(run)[-1:]))
    assert "is still running" in cli.run("runs", "rm", str(run), "--yes", status=2).stderr
    assert "nothing to remove" in cli.run("runs", "rm", "--older-than", "0m", "--yes").stdout
    assert run.exists()
    cli.run("stop", str(run), "--abort", status=os.EX_OK)
    process.wait(30)
    cli.run("runs", "rm", str(run), "--yes")
    assert not run.exists()
