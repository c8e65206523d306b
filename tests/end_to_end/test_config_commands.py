"""`backprop config`, `plan` and `smoke` as a person types them."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.real_runs import COMMAND, DEMO, Cli

CONFIG = "# mine\nmodel:\n  base: {base} # the demo's\ndata:\n  train: {rows}\n{more}"


def write(cli: Cli, more: str = "", base: str | Path = DEMO / "base") -> Path:
    file = cli.folder / "run.yaml"
    file.write_text(CONFIG.format(base=base, rows=DEMO / "train.jsonl", more=more))
    return file


def answer(cli: Cli, answers: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cli.folder,
        env=cli.environment,
        input=answers,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_new_config_is_mended_by_questions_and_planned(cli: Cli) -> None:
    cli.run("config", "new", "run.yaml", "--data", str(DEMO / "train.jsonl"))
    file = cli.folder / "run.yaml"
    assert "run.yaml exists" in cli.run("config", "new", "run.yaml", status=2).stderr
    missing = cli.run("config", "check", "run.yaml", status=2).stderr
    assert "run.yaml:3: model.base is missing" in missing
    mended = answer(cli, f"{DEMO / 'base'}\n", "config", "fix", "run.yaml")
    assert mended.returncode == 0, mended.stderr
    assert f"  base: {DEMO / 'base'}   # a folder, or owner/name" in file.read_text()
    assert "right" in cli.run("config", "check", "run.yaml").stdout
    planned = cli.run("plan", "run.yaml").stdout
    assert "auto: no GPU" in planned
    assert "fits" in planned


def test_fix_asks_for_each_mistake_and_keeps_comments(cli: Cli) -> None:
    more = "training:\n  steps: many # how long\n  learning_rat: 1e-4\nlora:\n  rank: 0\n"
    file = write(cli, more)
    mended = answer(cli, "8\n20\n\n", "config", "fix", str(file))
    assert mended.returncode == 0, mended.stdout + mended.stderr
    text = file.read_text()
    assert "steps: 20 # how long" in text
    assert "learning_rate: 1e-4" in text or "learning_rate: 0.0001" in text
    assert "rank: 8" in text
    assert text.startswith("# mine\n")
    assert "# the demo's" in text
    left = write(cli, more)
    given_up = answer(cli, "8\n20\n", "config", "fix", str(left))
    assert given_up.returncode == 2
    assert "still wrong" in given_up.stderr
    assert "steps: 20" in left.read_text()  # what was answered stays


def test_check_as_json_says_what_and_where(cli: Cli) -> None:
    file = write(cli, "training: {optimizer: adam}\n")
    facts = json.loads(cli.run("config", "check", str(file), "--json", status=2).stdout)
    assert facts["ok"] is False
    assert facts["where"] == f"{file}:6"
    assert facts["hint"] == "Did you mean adamw?"
    file = write(cli, base="nowhere/at/all")
    assert "does not exist" in cli.run("config", "check", str(file), status=2).stderr


def test_explain_show_schema_and_presets(cli: Cli) -> None:
    assert "default: auto" in cli.run("config", "explain", "lora.rank").stdout
    assert "lora.rank" in cli.run("config", "explain", "rank").stdout
    assert "lora.dropout" in cli.run("config", "explain", "lora").stdout
    assert "Did you mean lora.rank" in cli.run("config", "explain", "lora.rnk", status=2).stderr
    shown = cli.run("config", "show", str(write(cli)), "--set", "training.seed=5").stdout
    assert "seed: 5" in shown
    assert "scheduler: linear" in shown
    schema = json.loads(cli.run("config", "schema").stdout)
    training = schema["$defs"]["TrainingSection"]["properties"]
    assert "Peak learning rate" in training["learning_rate"]["description"]
    assert "qwen2.5-7b" in cli.run("config", "presets").stdout
    assert "Apache" in cli.run("config", "presets", "qwen2.5-7b").stdout


def test_another_tools_config_is_imported_and_named(cli: Cli) -> None:
    theirs = cli.folder / "theirs.yaml"
    theirs.write_text(
        f"base_model: {DEMO / 'base'}\nadapter: lora\nlora_r: 8\nmicro_batch_size: 2\n"
        f"datasets:\n  - path: {DEMO / 'train.jsonl'}\n    type: chat_template\nflux: 3\n"
    )
    done = cli.run("config", "import", "theirs.yaml", "-o", "ours.yaml")
    assert "flux" in done.stderr
    assert "rank: 8" in (cli.folder / "ours.yaml").read_text()
    assert "right" in cli.run("config", "check", "ours.yaml").stdout
    mine = str(write(cli))
    assert "not a config of a tool" in cli.run("config", "import", mine, status=2).stderr


def test_plan_for_a_card_that_is_not_here(cli: Cli) -> None:
    """A preset brings the model's sizes: no network, no weights."""
    rows = f"data.train={DEMO / 'train.jsonl'}"
    preset = ["--set", "preset=llama-3.1-8b", "--set", rows, "--json"]
    facts = json.loads(cli.run("plan", *preset, "--gpu", "24").stdout)
    assert facts["fits"] is True
    assert facts["origins"]["model.base"]["origin"] == "preset"
    assert facts["values"]["model.dtype"] == "bfloat16"
    small = cli.run("plan", *preset[:-1], "--gpu", "4", status=1).stdout
    assert "DOES NOT FIT" in small
    assert "a smaller model" in small
    exact = json.loads(cli.run("plan", str(write(cli)), "--exact", "--json").stdout)
    assert exact["estimated"] is False


@pytest.mark.parametrize("flag", ["--batch-size", "--lr", "--lora-r", "--steps", "--optim"])
def test_a_flag_is_a_set(cli: Cli, flag: str) -> None:
    done = cli.run("train", str(write(cli)), flag, "-1", "--headless", status=2)
    assert "got -1" in done.stderr or "got '-1'" in done.stderr
    assert not (cli.folder / "runs").exists()


def test_smoke_tries_everything_once(cli: Cli) -> None:
    settings = ["model.backend=transformers", "export.formats=[merged]", "training.batch_size=2"]
    overrides = [word for setting in settings for word in ("--set", setting)]
    done = cli.run("smoke", str(write(cli)), *overrides, "--json")
    facts = json.loads(done.stdout)
    assert facts["ok"] is True, facts
    checks = {check["name"]: check for check in facts["checks"]}
    needed = ("plan", "longest batch", "step", "validation", "checkpoint", "resume", "export")
    assert all(checks[name]["passed"] for name in needed)
    assert checks["samples"]["passed"] is None
    assert checks["resume"]["seen"] == "resumed at step 2"
    assert re.match(r"last: .*B, merged: .*B$", checks["export"]["seen"])
    assert list((cli.folder / "runs").iterdir()) == []  # nothing is left of it
    failed = cli.run("smoke", str(write(cli)), *overrides, "--set", "model.template=none.jinja",
                     status=2)  # fmt: skip
    assert "none.jinja" in failed.stderr
