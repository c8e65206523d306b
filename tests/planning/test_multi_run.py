"""A multi-run's plan: each run's length and rate, and what cannot be."""

from dataclasses import replace

import pytest

from tests.planning.test_plan import data, drafted, resolve
from trainer_core.planning.facts import ShardFacts

SHARDS = (ShardFacts("a", 100), ShardFacts("b", 50, 10), ShardFacts("c", 80))


def stats():
    found = data(examples=230)
    return replace(found, facts=replace(found.facts, shards=SHARDS))


def test_steps_are_of_each_run_and_epochs_of_each_shard() -> None:
    run = resolve("multi_run.runs=3", "training.steps=40", stats=stats())
    assert [part.steps for part in run.runs] == [40, 40, 40]
    assert run.total_steps == 120
    batch = ["training.batch_size=2", "training.gradient_accumulation=5"]
    run = resolve("multi_run.runs=3", "training.epochs=2", *batch, stats=stats())
    assert [(part.name, part.rows, part.steps) for part in run.runs] == [
        ("a", 100, 20),
        ("b", 50, 10),
        ("c", 80, 16),
    ]
    assert run.total_steps == 46
    assert "46 steps in all" in run.origins["training.steps"].why
    compared = resolve("multi_run.runs=3", "training.steps=40", "multi_run.compare=[sequential, "
                       "joint]", stats=stats())  # fmt: skip
    assert compared.total_steps == 360


def test_a_plain_run_has_none_and_a_guess_has_equal_ones() -> None:
    assert resolve().runs == []
    assert resolve().config.multi_run.merge == "none"
    run = resolve("multi_run.runs=4", "multi_run.replay=0.5", "training.steps=9")
    assert [(part.rows, part.replayed) for part in run.runs] == [(500, 0)] + 3 * [(1000, 500)]


def test_rates_fall_evenly_and_only_the_first_warms_up_if_so_wished() -> None:
    wishes = ["training.learning_rate=2e-4", "multi_run.last_learning_rate=5e-5"]
    run = resolve("multi_run.runs=3", "training.steps=100", *wishes, stats=stats())
    assert [part.learning_rate for part in run.runs] == [2e-4, 1e-4, 5e-5]
    assert [part.warmup_steps for part in run.runs] == [5, 5, 5]
    wishes.append("multi_run.warmup=first")
    run = resolve("multi_run.runs=3", "training.steps=100", *wishes, stats=stats())
    assert [part.warmup_steps for part in run.runs] == [5, 0, 0]


def test_stages_have_settings_of_their_own() -> None:
    stages = (
        "multi_run.stages=[{epochs: 2, learning_rate: 1e-3, warmup_steps: 1}, {steps: 7, "
        "target_loss: 0.5, max_length: 100}, {}]"
    )
    batch = ["training.batch_size=10", "training.gradient_accumulation=1"]
    train = "data.train=[x, y, z]"
    run = resolve(stages, train, "training.epochs=1", *batch, stats=stats())
    first, second, third = run.runs
    assert (first.steps, first.learning_rate, first.warmup_steps) == (20, 1e-3, 1)
    assert (second.steps, second.target_loss, second.max_length) == (7, 0.5, 100)
    assert (third.steps, third.learning_rate) == (8, run.config.training.learning_rate)
    assert run.config.multi_run.merge == "none"
    assert "stages build on one another" in run.origins["multi_run.merge"].why
    assert resolve("multi_run.runs=3", stats=stats()).config.multi_run.merge == "slao"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (["multi_run.runs=2", "training.method=full"], "a multi-run merges adapters"),
        (["multi_run.runs=2", "lora.dora=true"], "merges plain adapters"),
        (["multi_run.runs=2", "multi_run.merge=none", "lora.init=pissa"], "takes weights out of"),
        (["multi_run.runs=2", "lora.rank=600"], "q_proj takes 512 values"),
        (["multi_run.by_source=true"], "data.train has one"),
        (["multi_run.by_source=true", "multi_run.runs=3", "data.train=[x, y]"], "2 sources"),
        (["multi_run.stages=[{sources: [2]}]"], "stage 1 trains on source 2"),
        (["multi_run.stages=[{max_length: 99}]", "model.max_length=64"], "takes 99 tokens"),
        (["multi_run.runs=2", "multi_run.patience=1", "multi_run.eval_rows=0"], "none is measured"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(settings: list[str], problem: str) -> None:
    wished = ["model.backend=transformers", *settings]
    assert problem in drafted(*wished).problem
