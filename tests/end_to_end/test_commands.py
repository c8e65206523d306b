"""The commands without a terminal: what they print, write and return."""

import json
from pathlib import Path

from tests.end_to_end.real_runs import DEMO, Cli, events, training


def test_a_run_leaves_the_folder_that_the_docs_describe(cli: Cli) -> None:
    done = cli.run(*training("--steps", "12", "--json", "--set", "training.eval_steps=4"))
    (folder,) = (cli.folder / "runs").iterdir()
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["n"] for e in printed if e["n"]] == [e["n"] for e in events(folder)]
    assert printed[-1]["type"] == "finished"
    assert "imported transformers" in done.stderr
    for name in (
        "config.yaml",
        "resolved.yaml",
        "status.json",
        "events.jsonl",
        "worker.log",
        "metrics_stream.jsonl",
        "training/training_metrics.jsonl",
        "training/hardware_metrics.jsonl",
        "curves/loss.f64",
        "curves/eval_loss.f64",
        "adapter/best/adapter_model.safetensors",
        "adapter/last/adapter_model.safetensors",
        "adapter/last/tokenizer.json",
        "adapter/last/chat_template.jinja",
        "checkpoints/step-12/manifest.json",
    ):
        assert (folder / name).is_file(), name
    stream = [json.loads(x) for x in (folder / "metrics_stream.jsonl").read_text().splitlines()]
    assert [row["step"] for row in stream] == list(range(1, 13))
    rows = [
        json.loads(x) for x in (folder / "training/training_metrics.jsonl").read_text().splitlines()
    ]
    kinds = [row["event"] for row in rows]
    assert (kinds[0], kinds[-1], kinds.count("evaluate")) == ("train_begin", "train_end", 3)

    listed = json.loads(cli.run("runs", "--json").stdout)
    assert (listed["path"], listed["state"]) == (str(folder), "finished")
    assert listed["run"] in cli.run("runs").stdout
    again = cli.run("attach", "last", "--headless")
    assert "finished at step 12 of 12" in again.stdout


def test_flags_and_no_terminal_go_headless_by_themselves(cli: Cli) -> None:
    done = cli.run(
        "train", "--data", str(DEMO / "train.jsonl"), "--model", str(DEMO / "base"),
        "--steps", "3", "--samples", "40", "--batch-size", "4", "--lr", "1e-3", "--lora-r", "4",
        "--no-unsloth", "--output", "out",
    )  # fmt: skip
    assert "not a terminal" in done.stderr
    assert "finished at step 3 of 3" in done.stdout
    adapter = json.loads((cli.folder / "out/adapter/last/adapter_config.json").read_text())
    assert adapter["r"] == 4


def test_mistakes_are_one_sentence_exit_2_and_nothing_written(cli: Cli) -> None:
    bad = cli.folder / "bad.yaml"
    bad.write_text("model:\n  base: x\ndata:\n  train: y\ntraining:\n  lerning_rate: 1\n")
    for arguments, expected in (
        (["train", "bad.yaml"], "bad.yaml:6: training.lerning_rate is not a known field"),
        (["train", "none.yaml"], "none.yaml does not exist"),
        (["train"], "nothing to train"),
        (["train", "--data", "none.jsonl", "--model", str(DEMO / "base")], "does not exist"),
        (["attach"], "there are no runs yet"),
        (["stop", "x"], "there are no runs yet"),
        ([], "needs a terminal"),
    ):
        done = cli.run(*arguments, status=2)
        assert expected in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr
    assert {path.name for path in cli.folder.iterdir()} <= {"bad.yaml", "state"}


def test_rows_too_long_are_dropped_and_said_and_all_too_long_is_refused(cli: Cli) -> None:
    data = cli.folder / "rows.jsonl"
    row = {"prompt": "Say it.", "completion": "yes"}
    long = {"prompt": "Say it.", "completion": "yes " * 2000}
    data.write_text("".join(json.dumps(r) + "\n" for r in [row, long, row, row]))
    base = ["train", "--data", str(data), "--model", str(DEMO / "base"), "--no-unsloth"]
    done = cli.run(*base, "--steps", "1", "--headless", "--set", "data.split.fractions=[1.0]")
    assert "1 rows dropped (over 512 tokens): too long" in done.stdout
    assert "rows.jsonl:2" in done.stdout
    data.write_text(json.dumps(long) + "\n")
    done = cli.run(*base, "--steps", "1", "--headless", status=2)
    assert "no row is left to train on" in done.stderr


def test_what_python_trains_is_listed_and_saved(cli: Cli) -> None:
    import subprocess
    import sys

    program = f"""
from trainer_core import Trainer
trainer = Trainer({str(DEMO / "base")!r}, backend="transformers")
steps = []
result = trainer.train({str(DEMO / "train.jsonl")!r}, steps=4, on_event=lambda e: steps.append(e))
assert result.steps == 4 and result.outcome == "finished"
assert [e.step for e in steps if e.type == "metrics"] == [1, 2, 3, 4]
print(trainer.save("saved"))
"""
    subprocess.run([sys.executable, "-c", program], cwd=cli.folder, env=cli.environment, check=True)
    assert Path(cli.folder / "saved" / "adapter_model.safetensors").exists()
    assert json.loads(cli.run("runs", "--json").stdout)["state"] == "finished"
