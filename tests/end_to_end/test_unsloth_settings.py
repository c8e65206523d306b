"""Under Unsloth on a CPU, what a config asks for takes effect too, or is refused."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.real_runs import DEMO, Cli

SETTINGS: dict[str, dict[str, Any]] = {
    "usual": {},
    "4bit": {"model.quantization": "4bit"},
    "bfloat16": {"model.dtype": "bfloat16"},
    "dora": {"lora.dora": True},
    "rslora": {"lora.rslora": True},
    "dropout": {"lora.dropout": 0.3},
    "pissa": {"lora.init": "pissa"},
    "targets": {"lora.targets": ["q_proj"]},
    "lion": {"training.optimizer": "lion"},
    "full": {"training.method": "full"},
    "checkpointing": {"training.gradient_checkpointing": "unsloth"},
    "8bit": {"model.quantization": "8bit"},
    "adamw_8bit": {"training.optimizer": "adamw_8bit"},
    "mixed": {"training.precision": "bfloat16", "model.dtype": "float32"},
    "attention": {"model.attention": "eager"},
}
REFUSED = {"8bit", "adamw_8bit", "mixed", "attention"}
PROGRAM = """
import json, sys
import unsloth
from trainer_core import Trainer
from trainer_core.errors import UserError
usual = {"training.steps": 3, "training.batch_size": 2, "training.gradient_accumulation": 1,
         "lora.rank": 4, "model.backend": "unsloth", "training.learning_rate": 1e-3,
         "training.warmup_steps": 0}
found = {}
for name, settings in json.loads(sys.argv[1]).items():
    events = []
    try:
        run = Trainer(sys.argv[2], overrides=usual | settings).train("rows.jsonl",
                                                                   on_event=events.append)
        losses = [e.values["loss"] for e in events if e.type == "metrics"]
        found[name] = {"losses": losses, "saved": str(run.adapter)}
    except UserError as error:
        found[name] = {"refused": str(error)}
print("FOUND", json.dumps(found))
"""


@pytest.mark.unsloth
def test_what_is_asked_for_takes_effect_or_is_refused(cli: Cli) -> None:
    if find_spec("unsloth") is None:
        pytest.skip("Unsloth is not installed")
    rows = (DEMO / "train.jsonl").read_text().splitlines()[:40]
    (cli.folder / "rows.jsonl").write_text("\n".join(rows))
    command = [sys.executable, "-c", PROGRAM, json.dumps(SETTINGS), str(DEMO / "base")]
    done = subprocess.run(
        command, cwd=cli.folder, env=cli.environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.rpartition("FOUND ")[2])
    assert {name for name, run in found.items() if "refused" in run} == REFUSED
    usual = found["usual"]["losses"]
    for name in SETTINGS.keys() - REFUSED - {"usual", "checkpointing"}:
        assert found[name]["losses"] != usual, f"{name} changes nothing"
    assert found["checkpointing"]["losses"] == pytest.approx(usual, abs=1e-4)
    assert (Path(found["full"]["saved"]) / "model.safetensors").is_file()
    assert "no effect under Unsloth" in found["8bit"]["refused"]
