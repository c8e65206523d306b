"""Every "auto" becomes a value with a reason, and resolved.yaml gives the same run back."""

from pathlib import Path

import pytest

from trainer_core.config.load import load_config
from trainer_core.errors import UserError
from trainer_core.hardware.facts import MachineFacts
from trainer_core.hardware.gpus import Gpu
from trainer_core.planning.backend import BackendChoice
from trainer_core.planning.facts import DataFacts, ModelFacts, model_facts
from trainer_core.planning.plan import ResolvedRun, plan, plan_max_length
from trainer_core.planning.resolved_file import read_resolved, write_resolved

MODEL = ModelFacts("m", "llama", context=512, parameters=10**6, has_template=True)
BIG = ModelFacts("m", "llama", context=131072, parameters=7 * 10**9, has_template=True)
DATA = DataFacts(train=100, validation=5, longest=80, tokens=5000, trained_tokens=2000)
CPU = MachineFacts(cores=2, ram=8 << 30)
AMX = MachineFacts(cores=2, ram=8 << 30, cpu_bfloat16=True)
GPU = MachineFacts(cores=2, ram=8 << 30, gpus=[Gpu(index=0, name="x")])
BACKEND = BackendChoice("unsloth", "it is installed")


def resolve(*settings: str, machine: MachineFacts = CPU, model: ModelFacts = MODEL) -> ResolvedRun:
    loaded = load_config(None, ["model.base=a/b", "data.train=x", *settings])
    return plan(loaded.config, loaded.given, machine, model, DATA, BACKEND)


def test_nothing_is_left_open_and_everything_has_a_reason() -> None:
    run = resolve()
    assert "auto" not in run.values().values()
    assert run.values().keys() == run.origins.keys()
    assert all(origin.why for origin in run.origins.values())
    assert run.origins["model.base"].origin == "user"
    assert run.origins["lora.rank"].origin == "preset"
    assert run.origins["model.dtype"].origin == "auto"


def test_steps_follow_from_epochs_as_the_loop_counts_them() -> None:
    run = resolve("training.epochs=2", "training.batch_size=8", "training.gradient_accumulation=2")
    assert run.total_steps == 14  # 13 batches, 7 steps an epoch
    assert resolve("training.steps=5").total_steps == 5


@pytest.mark.parametrize(
    ("machine", "model", "dtype"),
    [
        (CPU, MODEL, "float32"),
        (AMX, MODEL, "float32"),
        (AMX, BIG, "bfloat16"),
        (CPU, BIG, "float32"),
        (GPU, MODEL, "bfloat16"),
    ],
)
def test_dtype(machine: MachineFacts, model: ModelFacts, dtype: str) -> None:
    assert resolve(machine=machine, model=model).config.model.dtype == dtype


def test_max_length_never_exceeds_the_context() -> None:
    config = load_config(None, ["model.base=a/b", "data.train=x", "model.max_length=4096"]).config
    assert plan_max_length(config, MODEL)[0] == 512
    assert plan_max_length(config, BIG)[0] == 4096


def test_resolved_yaml_gives_the_same_run_back(tmp_path: Path) -> None:
    run = resolve("training.learning_rate=1e-5")
    write_resolved(tmp_path / "resolved.yaml", run)
    assert read_resolved(tmp_path / "resolved.yaml") == run
    assert read_resolved(tmp_path / "none.yaml") is None
    (tmp_path / "resolved.yaml").write_text("config: 1\n")
    with pytest.raises(UserError):
        read_resolved(tmp_path / "resolved.yaml")


def test_facts_of_the_demo_model(demo: Path, tmp_path: Path) -> None:
    facts = model_facts(demo / "base")
    assert (facts.model_type, facts.context, facts.has_template) == ("llama", 512, True)
    assert facts.parameters == 1_935_616
    with pytest.raises(UserError, match="not a model folder"):
        model_facts(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "x\\nimport os"}')
    with pytest.raises(UserError, match="model_type"):
        model_facts(tmp_path)
