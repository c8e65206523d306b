"""Every "auto" becomes a value with a reason, and resolved.yaml gives the same run back."""

import sys
from pathlib import Path

import pytest

from trainer_core.config.load import load_config
from trainer_core.errors import UserError
from trainer_core.hardware.facts import MachineFacts
from trainer_core.hardware.gpus import Gpu
from trainer_core.planning.bases import AdapterFacts
from trainer_core.planning.draft import Draft, draft
from trainer_core.planning.early import DataStats, LengthFacts
from trainer_core.planning.facts import DataFacts, ModelFacts, facts_of, model_facts
from trainer_core.planning.plan import ResolvedRun
from trainer_core.planning.resolved_file import read_resolved, write_resolved

GIB = 1 << 30
LLAMA_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
SMALL = {**LLAMA_8B, "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8,
         "intermediate_size": 1024, "vocab_size": 8000, "max_position_embeddings": 512}  # fmt: skip
MODEL, BIG = facts_of(SMALL, "small"), facts_of(LLAMA_8B, "big")
CPU = MachineFacts(cores=2, ram=8 * GIB, ram_free=8 * GIB)
AMX = CPU.model_copy(update={"cpu_bfloat16": True, "ram": 64 * GIB, "ram_free": 64 * GIB})


def gpu(gib: float, **facts: object) -> MachineFacts:
    card = Gpu(index=0, name="card", memory_total=int(gib * GIB))
    return MachineFacts(cores=8, ram=64 * GIB, ram_free=64 * GIB, gpus=[card], **facts)


def data(examples: int = 2000, mean: int = 700, longest: int = 900, p99: int = 800) -> DataStats:
    tokens = examples * mean
    facts = DataFacts(
        train=examples, validation=50, longest=longest, tokens=tokens,
        trained_tokens=tokens // 2, examples=examples,
    )  # fmt: skip
    return DataStats(facts, LengthFacts(p99=p99, mean=float(mean), longest=longest))


def drafted(
    *settings: str,
    machine: MachineFacts = CPU,
    model: ModelFacts = MODEL,
    stats: DataStats | None = None,
) -> Draft:
    loaded = load_config(None, ["model.base=a/b", "data.train=x", *settings])
    return draft(loaded, machine, stats or data(), model=model)


def resolve(
    *settings: str,
    machine: MachineFacts = CPU,
    model: ModelFacts = MODEL,
    stats: DataStats | None = None,
) -> ResolvedRun:
    found = drafted(*settings, machine=machine, model=model, stats=stats)
    assert found.run is not None, found.problem
    return found.run


def why(run: ResolvedRun, name: str) -> str:
    return run.origins[name].why


def test_nothing_is_left_open_and_everything_has_a_reason() -> None:
    for machine in (CPU, gpu(24)):
        run = resolve(machine=machine)
        open_ = {name for name, value in run.values().items() if value == "auto"}
        assert open_ == {"run.resume"}  # what to do later, nothing to plan
        assert run.values().keys() == run.origins.keys()
        assert all(origin.why for origin in run.origins.values())
        assert run.origins["model.base"].origin == "user"
        assert run.origins["lora.alpha"].origin == "default"
        assert run.origins["model.dtype"].origin == "auto"


def test_a_preset_is_an_origin_of_its_own(tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("training: {learning_rate: 1e-5, seed: 7}\n")
    run = resolve(f"preset={preset}", "training.seed=8")
    assert run.config.training.learning_rate == 1e-5
    assert run.origins["training.learning_rate"].origin == "preset"
    assert why(run, "training.learning_rate") == "the preset mine"
    assert (run.config.training.seed, run.origins["training.seed"].origin) == (8, "user")


def test_steps_follow_from_epochs_as_the_loop_counts_them() -> None:
    settings = ("training.batch_size=8", "training.gradient_accumulation=2", "training.packing=off")
    run = resolve("training.epochs=2", *settings, stats=data(100))
    assert run.total_steps == 14  # 13 batches, 7 steps an epoch
    assert run.epochs == 2.0
    run = resolve("training.steps=5", *settings, stats=data(100))
    assert run.total_steps == 5
    assert run.values()["training.epochs"] == pytest.approx(5 / 7, abs=1e-3)


@pytest.mark.parametrize(
    ("machine", "model", "dtype"),
    [
        (CPU, MODEL, "float32"),
        (AMX, MODEL, "float32"),
        (AMX, BIG, "bfloat16"),
        (gpu(24), MODEL, "bfloat16"),
        (gpu(24, gpu_bfloat16=False), MODEL, "float16"),
    ],
)
def test_dtype(machine: MachineFacts, model: ModelFacts, dtype: str) -> None:
    run = resolve(machine=machine, model=model)
    assert run.config.model.dtype == run.config.training.precision == dtype


def test_the_rank_has_room_for_the_trained_tokens() -> None:
    assert resolve(stats=data(100, mean=10)).config.lora.rank == 16
    per_rank = MODEL.shape.lora_parameters(1, "all-linear")  # type: ignore[union-attr]
    tokens = 2 * per_rank * 33  # half of them are trained
    run = resolve(stats=data(10, mean=tokens // 10, longest=tokens))
    assert run.config.lora.rank == 64
    assert f"{per_rank:,}" in why(run, "lora.rank")
    assert resolve(stats=data(100_000, mean=800)).config.lora.rank == 256


def test_an_adapter_too_small_for_the_data_is_warned_of() -> None:
    run = resolve("lora.rank=1", stats=data(50_000, mean=400))
    assert "higher lora.rank" in run.warnings[0]
    assert not resolve(stats=data(100)).warnings


@pytest.mark.parametrize(
    ("examples", "batch"), [(200, 2), (800, 8), (5_000, 16), (60_000, 32), (600_000, 32)]
)
def test_the_effective_batch_follows_the_examples(examples: int, batch: int) -> None:
    run = resolve("training.packing=off", "training.epochs=1", stats=data(examples))
    training = run.config.training
    assert training.effective_batch == batch
    assert training.batch_size * training.gradient_accumulation == batch


def test_what_is_given_of_a_batch_decides_the_rest() -> None:
    run = resolve("training.effective_batch=24", "training.batch_size=3")
    assert run.config.training.gradient_accumulation == 8
    run = resolve("training.batch_size=5", "training.gradient_accumulation=2")
    assert run.config.training.effective_batch == 10
    run = resolve("training.gradient_accumulation=4", stats=data(5000))
    assert run.config.training.batch_size * 4 == run.config.training.effective_batch


@pytest.mark.parametrize(("trained", "epochs"), [(500_000, 3), (5_000_000, 2), (50_000_000, 1)])
def test_more_passes_over_less_data(trained: int, epochs: int) -> None:
    run = resolve("training.packing=off", stats=data(trained // 200, mean=400))
    assert run.epochs == pytest.approx(epochs, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "model", "rate"),
    [
        (["training.steps=500"], BIG, 2.9e-4),
        (["training.steps=50"], BIG, 4.3e-4),
        (["training.steps=500", "training.method=full"], BIG, 2.9e-5),
        (["training.steps=500"], facts_of({**LLAMA_8B, "model_type": "qwen2"}, "q"), 4.7e-4),
        (["training.steps=500"], facts_of({**SMALL, "model_type": "other"}, "o"), 3e-4),
    ],
)
def test_the_learning_rate(settings: list[str], model: ModelFacts, rate: float) -> None:
    run = resolve(*settings, machine=gpu(200), model=model)
    assert run.config.training.learning_rate == pytest.approx(rate, rel=0.02)


def test_intervals_and_the_probe_follow_the_steps() -> None:
    training = resolve("training.steps=1000").config.training
    assert (training.warmup_steps, training.eval_steps, training.save_steps) == (50, 100, 200)
    assert resolve("training.steps=1000").config.safety.probe == "on"
    assert resolve("training.steps=100").config.safety.probe == "off"


def test_max_length_takes_99_of_100_examples_whole() -> None:
    run = resolve(stats=data(p99=300, longest=500))
    assert run.config.model.max_length == 320
    assert "the longest has 500" in why(run, "model.max_length")
    assert resolve(stats=data(p99=300, longest=310)).config.model.max_length == 320
    assert resolve(stats=data(p99=4000, longest=5000)).config.model.max_length == 512
    asked = resolve("model.max_length=4096")
    assert (asked.config.model.max_length, asked.origins["model.max_length"].origin) == (
        512,
        "auto",
    )
    assert resolve("model.max_length=4096", model=BIG, machine=AMX).config.model.max_length == 4096


def test_packing_where_most_would_be_padding() -> None:
    run = resolve(stats=data(mean=100, longest=500))
    assert run.config.training.packing == "pack"
    assert "20%" in why(run, "training.packing")
    long = resolve(model=BIG, machine=AMX, stats=data(mean=100, longest=500, p99=450))
    assert long.config.model.max_length == 2048
    assert "fill better than of 512" in why(long, "model.max_length")
    assert long.config.training.effective_batch == 1  # row, of about 20 examples
    assert resolve(stats=data(mean=400, longest=500)).config.training.packing == "off"
    given = resolve("training.batch_size=4", stats=data(mean=100, longest=500))
    assert given.config.training.packing == "off"
    unknown = facts_of({**SMALL, "model_type": "gpt9"}, "x")
    assert resolve(model=unknown, stats=data(mean=100)).config.training.packing == "off"


def test_a_large_model_is_quantised_where_16_bits_are_too_many() -> None:
    small_card = resolve(machine=gpu(12), model=BIG)
    assert small_card.config.model.quantization == "4bit"
    assert "would take" in why(small_card, "model.quantization")
    assert resolve(machine=gpu(80), model=BIG).config.model.quantization == "none"
    assert resolve(machine=AMX, model=BIG).config.model.quantization == "none"


def test_checkpointing_and_the_micro_batch_are_what_fits() -> None:
    roomy = resolve(machine=gpu(80), stats=data(5000)).config.training
    assert (roomy.gradient_checkpointing, roomy.batch_size) == ("off", 16)
    tight = resolve("model.backend=transformers", machine=gpu(12), model=BIG, stats=data(5000))
    training = tight.config.training
    assert training.gradient_checkpointing == "on"
    assert training.batch_size < 16
    assert training.batch_size * training.gradient_accumulation == 16
    assert tight.memory is not None
    assert tight.memory.fits


def test_what_does_not_fit_says_so_and_what_to_do() -> None:
    found = drafted("model.quantization=none", "training.steps=10", machine=gpu(12), model=BIG)
    assert found.memory is not None
    assert not found.memory.fits
    assert "model.quantization: 4bit" in found.advice
    limited = drafted("safety.memory_limit=6", "training.steps=10", machine=gpu(80), model=BIG)
    assert limited.memory is not None
    assert limited.memory.budget == 6 * GIB


def test_the_memory_plan_is_the_sum_of_its_parts() -> None:
    memory = resolve(machine=gpu(24), model=BIG).memory
    assert memory is not None
    assert memory.total == sum(memory.parts.values())
    assert memory.device == "GPU 0: card"


def test_an_adapter_keeps_its_own_settings(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(
        '{"base_model_name_or_path": "a/b", "r": 8, "lora_alpha": 4, "target_modules": ["q_proj"]}'
    )
    run = resolve(f"lora.adapter={tmp_path}")
    assert (run.config.lora.rank, run.config.lora.alpha) == (8, 4)
    assert run.config.lora.targets == ["q_proj"]
    assert why(run, "lora.rank") == "the adapter's own"
    refused = drafted(f"lora.adapter={tmp_path}", "lora.rank=32")
    assert "lora.rank is 32, but the adapter" in refused.problem
    assert AdapterFacts  # what adapter_config.json is read into


def test_a_base_that_is_an_adapter_is_its_base_with_the_adapter(tmp_path: Path, demo: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    config = {"base_model_name_or_path": str(demo / "base"), "r": 8, "lora_alpha": 8}
    (adapter / "adapter_config.json").write_text(str(config).replace("'", '"'))
    loaded = load_config(None, [f"model.base={adapter}", f"data.train={demo / 'train.jsonl'}"])
    run = draft(loaded, CPU).run
    assert run is not None
    assert run.config.model.base == str(demo / "base")
    assert run.config.lora.adapter == str(adapter)
    assert run.config.lora.rank == 8


def test_a_quantised_base_is_the_users_choice() -> None:
    config = {**LLAMA_8B, "quantization_config": {"load_in_4bit": True}}
    base = facts_of(config, "x-bnb-4bit")
    run = resolve(machine=gpu(200), model=base)
    assert run.config.model.quantization == "4bit"
    assert why(run, "model.quantization") == "the base is quantised"
    assert "quantised" in drafted("model.quantization=none", machine=gpu(200), model=base).problem


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["training.method=full", "model.quantization=4bit"], "cannot be trained"),
        (["training.optimizer=paged_adamw_8bit"], "there is none"),
        (["training.precision=float16"], "GPUs only"),
        (["model.backend=unsloth", "model.attention=eager"], "its own attention"),
        (["model.attention=flash_attention_2", "model.backend=transformers"], "flash-attn"),
        (
            ["model.backend=transformers", "training.gradient_checkpointing=unsloth"],
            "Unsloth's own",
        ),
        (["lora.init=pissa", "model.quantization=4bit"], "quantised to 4 bits"),
        (["lora.init=loftq"], "on a GPU"),
        (["export.formats=[adapter]", "training.method=full"], "makes a whole model"),
        (["export.formats=[merged]", "export.push=me/it"], "HF_TOKEN"),
        (["export.formats=[merged]", "export.ollama=mine"], "Ollama takes a GGUF"),
    ],
)
def test_what_cannot_be_done_here_is_refused(settings: list[str], words: str) -> None:
    assert words in drafted(*settings).problem


def test_a_tracker_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)  # as if it were not there
    assert "mlflow, which is not installed" in drafted("tracking.to=[mlflow]").problem


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
    assert facts.shape is not None
    with pytest.raises(UserError, match="not a model folder"):
        model_facts(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "x\\nimport os"}')
    with pytest.raises(UserError, match="model_type"):
        model_facts(tmp_path)
