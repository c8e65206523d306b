"""A packed run as a person starts it: shown not to mix examples, on each backend."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.end_to_end.real_runs import DEMO, Cli, events

STEPS = 12


@pytest.mark.parametrize("packing", ["pack", "padding-free"])
@pytest.mark.parametrize(
    "backend", ["transformers", pytest.param("unsloth", marks=pytest.mark.unsloth)]
)
def test_a_packed_run(cli: Cli, backend: str, packing: str) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    run = cli.folder / "run"
    settings = [
        f"model.backend={backend}",
        f"training.packing={packing}",
        "training.sample_prompts=[]",
        "training.batch_size=2",
        "training.warmup_steps=0",
    ]
    overrides = [word for setting in settings for word in ("--set", setting)]
    cli.run(
        "train", str(DEMO / "demo.yaml"), "--steps", str(STEPS), "--headless",
        "--output", str(run), *overrides,
    )  # fmt: skip
    said = " ".join(e["message"] for e in events(run) if e["type"] == "log")
    assert "packed examples do not see one another" in said
    if packing == "pack":
        assert "% filled" in said
    losses = [e["values"]["loss"] for e in events(run) if e["type"] == "metrics"]
    assert len(losses) == STEPS
    assert sum(losses[-4:]) < sum(losses[:4])
    assert Path(run / "adapter" / "last" / "adapter_model.safetensors").is_file()
