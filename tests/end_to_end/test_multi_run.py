"""`backprop multi-run` for real: killed, resumed, taken back."""

import hashlib
from pathlib import Path

import pytest

from tests.end_to_end.real_runs import DEMO, Cli, events, job_of, status_of, step_of, wait_for
from tests.faults.how_many import WHOLE

WEIGHTS = "adapter/last/adapter_model.safetensors"


def arguments(output: Path) -> list[str]:
    """Three short runs on the demo's rows."""
    return [
        "multi-run",
        *("--data", str(DEMO / "train.jsonl"), "--model", str(DEMO / "base")),
        *("--runs", "3", "--steps", "10", "--batch-size", "4", "--lora-r", "4"),
        *("--set", "training.save_steps=3", "--set", "training.eval_steps=1000"),
        *("--set", "multi_run.eval_rows=8", "--set", "lora.dropout=0.1"),
        *("--no-unsloth", "--headless", "--output", str(output)),
    ]


def digest(folder: Path, name: str = WEIGHTS) -> str:
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


@pytest.mark.skipif(not WHOLE, reason="`make faults`; tests/engine dies at each kind of moment")
def test_killed_in_the_third_run_it_ends_in_the_same_adapter(cli: Cli) -> None:
    whole, broken = cli.folder / "whole", cli.folder / "broken"
    said = cli.run(*arguments(whole)).stdout
    assert "run 2 of 3: shard 2, 10 steps at" in said
    assert "run 3 merged (slao): its layers changed by" in said
    assert "loss after run 3: shard 1" in said
    assert "this multi-run, merged" in said
    assert "forgotten" in said

    process = cli.start(*arguments(broken))
    wait_for(lambda: step_of(broken) >= 24)
    job_of(broken).kill()
    assert process.wait(30) == 1
    assert status_of(broken)["state"] == "failed"
    assert not (broken / "run-03" / "done.json").exists()
    cli.run("multi-run", "--resume", str(broken), "--headless")
    assert digest(broken) == digest(whole)
    assert [e["resumed_from"] for e in events(broken) if e["type"] == "plan"] == [None, 23]

    undone = cli.run("multi-run", "--undo", str(broken)).stderr
    assert "the merge of run 3 is undone" in undone
    assert "as it was after run 2" in undone
    assert digest(broken) == digest(broken, "run-02/adapter/merged/adapter_model.safetensors")
    assert digest(whole) == digest(broken, "run-03/adapter/merged/adapter_model.safetensors")
    assert events(broken)[-1]["type"] == "undone"
    cli.run("multi-run", "--undo", str(broken))
    assert "only run 1 is merged" in cli.run("multi-run", "--undo", str(broken), status=2).stderr


def test_what_is_no_multi_run_is_said(cli: Cli) -> None:
    model = ["--model", str(DEMO / "base"), "--data", str(DEMO / "train.jsonl")]
    assert "there is only one run" in cli.run("multi-run", *model, status=2).stderr
    assert "name a config" in cli.run("multi-run", "--runs", "3", status=2).stderr
    gate = cli.run("multi-run", "--eval-gate", "0.1", status=2).stderr
    assert "not known here" in gate
    assert "--undo" in gate
