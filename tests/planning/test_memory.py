"""Estimates meet what was published, and behave as memory does."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer_core.planning.memory import (
    Estimate,
    MemorySettings,
    estimate,
    largest_batch,
    longest_sequence,
)
from trainer_core.planning.shape import ModelShape

ROOT = Path(__file__).parents[2]
GIB = 1 << 30
LLAMA_3_8B = ModelShape("llama", 4096, 32, 32, 8, 128, 14336, 128256, tied=False)
QWEN_0_5B = ModelShape("qwen2", 896, 24, 14, 2, 64, 4864, 151936, tied=True, attention_bias=True)
QLORA = MemorySettings(rank=32, quantization="4bit", checkpointing="unsloth", loss="chunked")


def load_benchmark(name: str) -> ModuleType:
    path = ROOT / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


BENCHMARK = load_benchmark("memory")
MEASURED = BENCHMARK.measured_rows()
ON_A_GPU = load_benchmark("memory_gpu").measured_rows()


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: f"{row.table}: {row.setting}")
def test_every_published_measurement_is_met(row: Any) -> None:
    assert abs(row.error) <= 0.10


def test_published_measurements_are_met_closely_on_average() -> None:
    errors = [abs(row.error) for row in MEASURED if "tokens)" not in row.table]
    assert len(errors) == 19
    assert sum(errors) / len(errors) <= 0.05


# Per kind of run, how far below and above the measured an estimate may be. All weights: without
# accumulation their gradients come as activations go, and the estimate has both.
LIMITS = {
    ("transformers", "lora"): (-0.02, 0.04),
    ("transformers", "full"): (-0.04, 0.14),
    ("unsloth", "lora"): (-0.10, 0.01),
}


@pytest.mark.parametrize("row", ON_A_GPU, ids=lambda row: f"{row.backend}: {row.setting}")
def test_what_training_took_on_a_gpu_is_met(row: Any) -> None:
    low, high = LIMITS[row.backend, row.method]
    assert low <= row.error <= high


def test_what_transformers_took_on_a_gpu_is_met_closely_on_average() -> None:
    errors = [abs(row.error) for row in ON_A_GPU if row.backend == "transformers"]
    assert len(errors) == 43
    assert sum(errors) / len(errors) <= 0.015


# Their table of smallest GPUs names no settings, and no single setting meets these rows: at 14B the
# weights alone take what it says; 32B leaves more beside its weights than 70B does, 3B more than
# 7B, and with 16-bit weights 8B more than 14B.
OUT_OF_REACH = {"4bit": {"3B", "14B", "32B"}, "none": {"8B"}}


@pytest.mark.parametrize("quantization", ["4bit", "none"])
def test_the_published_smallest_gpus_are_met_where_one_setting_can(quantization: str) -> None:
    rows, _ = BENCHMARK.smallest_rows(quantization)
    missed = {row.setting.partition(",")[0] for row in rows if abs(row.error) > 0.10}
    assert missed == OUT_OF_REACH[quantization]
    assert max(abs(row.error) for row in rows) <= 0.25


def test_why_rows_are_out_of_reach() -> None:
    def beside_weights(quantization: Any, size: str) -> float:
        settings = replace(QLORA, quantization=quantization)
        weights = estimate(BENCHMARK.BY_SIZE[size], settings).weights
        unit = GIB if quantization == "4bit" else 10**9
        return float(BENCHMARK.SMALLEST[quantization][size] - weights / unit)

    assert beside_weights("4bit", "14B") < 0.1
    assert beside_weights("4bit", "32B") > 1.5 * beside_weights("4bit", "70B")
    assert beside_weights("4bit", "3B") > beside_weights("4bit", "7B")
    assert beside_weights("none", "8B") > 1.5 * beside_weights("none", "14B")


def test_components_add_up() -> None:
    found = estimate(LLAMA_3_8B, QLORA)
    parts = found.components()
    assert list(parts) == [
        *("weights", "adapter", "gradients", "optimizer", "activations", "logits", "context")
    ]
    assert sum(parts.values()) == found.total
    assert parts["adapter"] == parts["gradients"] == 4 * 83_886_080  # float32, beside 4-bit weights
    assert parts["optimizer"] == 8 * 83_886_080


def test_known_sizes_of_full_fine_tuning() -> None:
    found = estimate(LLAMA_3_8B, MemorySettings(method="full", tokens=512))
    assert found.weights == found.gradients == 2 * LLAMA_3_8B.parameters
    assert found.optimizer == 4 * LLAMA_3_8B.parameters  # two 16-bit numbers
    assert found.adapter == 0


def test_a_measured_correction_scales_the_whole() -> None:
    found = estimate(LLAMA_3_8B, QLORA)
    assert found.scaled(1.0) == found
    assert found.scaled(1.1).total == pytest.approx(1.1 * found.total)
    assert isinstance(found.scaled(1.1), Estimate)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_full_takes_more_than_lora_and_lora_more_than_qlora(device: str) -> None:
    settings = MemorySettings(device="cuda" if device == "cuda" else "cpu", checkpointing="on")
    full = estimate(LLAMA_3_8B, replace(settings, method="full")).total
    lora = estimate(LLAMA_3_8B, settings).total
    eight = estimate(LLAMA_3_8B, replace(settings, quantization="8bit")).total
    four = estimate(LLAMA_3_8B, replace(settings, quantization="4bit")).total
    assert full > lora > eight > four


def test_eight_bit_optimizers_take_less_and_paged_ones_leave_the_gpu() -> None:
    def state(name: str, device: str = "cuda") -> int:
        settings = MemorySettings(optimizer=name, device="cpu" if device == "cpu" else "cuda")
        return estimate(QWEN_0_5B, settings).optimizer

    assert state("adamw") > state("lion") > state("adamw_8bit") > state("lion_8bit") > 0
    assert state("sgd") == state("paged_adamw") == state("paged_adamw_8bit") == 0
    assert state("paged_adamw", "cpu") == state("adamw", "cpu")


def test_unsloths_chunks_grow_into_what_is_free_and_no_further() -> None:
    settings = replace(QLORA, tokens=4096)
    least = estimate(LLAMA_3_8B, settings).total
    assert estimate(LLAMA_3_8B, replace(settings, memory=least)).total == least
    short = replace(settings, tokens=512, rank=8)  # there is less in a layer than in the loss
    small = estimate(LLAMA_3_8B, short)
    large = estimate(LLAMA_3_8B, replace(short, memory=80 * GIB))
    assert large.total > small.total
    assert large.logits == 4 * 512 * LLAMA_3_8B.vocab
    assert estimate(LLAMA_3_8B, replace(settings, memory=80 * GIB)).logits <= large.logits


def test_trls_chunks_do_not_grow_with_the_rows() -> None:
    one = estimate(LLAMA_3_8B, MemorySettings(loss="trl", tokens=1024, checkpointing="on"))
    stock = estimate(LLAMA_3_8B, MemorySettings(loss="stock", tokens=1024, checkpointing="on"))
    assert one.logits < 600 * 2**20 < stock.logits


def test_optimizers_of_8_bits_keep_embeddings_in_32() -> None:
    settings = MemorySettings(method="full", optimizer="adamw_8bit")
    state = estimate(LLAMA_3_8B, settings).optimizer
    assert state > 2 * LLAMA_3_8B.parameters + 5 * LLAMA_3_8B.vocab * LLAMA_3_8B.hidden
    assert estimate(LLAMA_3_8B, replace(settings, method="lora")).optimizer < state / 10


def test_attention_step_by_step_takes_the_square_of_the_length() -> None:
    def extra(tokens: int) -> int:
        settings = MemorySettings(tokens=tokens)
        eager = replace(settings, attention="eager")
        return estimate(LLAMA_3_8B, eager).total - estimate(LLAMA_3_8B, settings).total

    assert extra(8192) > 3.5 * extra(4096) > 0


def test_a_cpu_has_no_cuda_context_but_a_process() -> None:
    found = estimate(QWEN_0_5B, MemorySettings(device="cpu", dtype="float32"))
    assert found.weights == 4 * QWEN_0_5B.parameters
    assert 500e6 < found.context < 600e6


SHAPES = st.builds(
    ModelShape,
    model_type=st.sampled_from(["llama", "qwen2", "phi3", "gpt2"]),
    hidden=st.integers(16, 8192),
    layers=st.integers(2, 100),
    heads=st.integers(1, 64),
    kv_heads=st.integers(1, 64),
    head_dim=st.integers(8, 256),
    intermediate=st.integers(16, 30000),
    vocab=st.integers(100, 300_000),
    tied=st.booleans(),
)
SETTINGS = st.builds(
    MemorySettings,
    method=st.sampled_from(["lora", "full"]),
    rank=st.integers(1, 256),
    targets=st.sampled_from(["all-linear", ["q_proj", "v_proj"], ["lm_head"], ["nothing"]]),
    dtype=st.sampled_from(["float32", "bfloat16", "float16"]),
    quantization=st.sampled_from(["none", "4bit", "8bit"]),
    optimizer=st.sampled_from(["adamw", "paged_adamw_8bit", "sgd"]),
    batch_size=st.integers(1, 64),
    tokens=st.integers(1, 100_000),
    checkpointing=st.sampled_from(["off", "on", "unsloth"]),
    loss=st.sampled_from(["trl", "stock", "shifted", "fused", "chunked"]),
    attention=st.sampled_from(["sdpa", "eager"]),
    device=st.sampled_from(["cuda", "cpu"]),
    packed=st.booleans(),
    upcast=st.booleans(),
    memory=st.sampled_from([0, 8 * GIB, 80 * GIB]),
)


@given(SHAPES, SETTINGS)
def test_more_never_takes_less(shape: ModelShape, settings: MemorySettings) -> None:
    found = estimate(shape, settings)
    assert all(size >= 0 for size in found.components().values())
    more_of = [
        replace(settings, tokens=settings.tokens + 1),
        replace(settings, rank=settings.rank + 1),
    ]
    # Where heads share keys, a mask has them repeated, and PyTorch has a kernel again that keeps
    # less (see _step_by_step): only there do more rows, or packed ones, take less.
    shared = settings.device == "cuda" and shape.kv_heads < shape.heads
    if settings.masked or not (shared and settings.computed_bytes == 4):
        more_of.append(replace(settings, batch_size=settings.batch_size + 1))
        more_of.append(replace(settings, packed=True))
    for more in more_of:
        assert estimate(shape, more).total >= found.total
    one, every = (replace(settings, targets=targets) for targets in (["q_proj"], "all-linear"))
    assert estimate(shape, every).total >= estimate(shape, one).total


@given(SHAPES, SETTINGS)
def test_checkpointing_never_takes_more(shape: ModelShape, settings: MemorySettings) -> None:
    off, on, unsloth = (
        estimate(shape, replace(settings, checkpointing=name)).total
        for name in ("off", "on", "unsloth")
    )
    assert off >= on >= unsloth


@given(SHAPES, SETTINGS, st.integers(0, 200 * GIB))
def test_what_fits_is_found_to_the_last_row_and_token(
    shape: ModelShape, settings: MemorySettings, budget: int
) -> None:
    settings = replace(settings, memory=0)  # chunks of the loss shrink to what is free

    def fits(changed: MemorySettings) -> bool:
        return estimate(shape, changed).total <= budget

    batch = largest_batch(shape, settings, budget)
    assert batch == 0 or fits(replace(settings, batch_size=batch))
    assert not fits(replace(settings, batch_size=batch + 1))
    tokens = longest_sequence(shape, settings, budget)
    assert tokens == 0 or fits(replace(settings, tokens=tokens))
    assert not fits(replace(settings, tokens=tokens + 1))


def test_chunks_that_could_be_large_do_not_shorten_what_fits() -> None:
    alone = longest_sequence(LLAMA_3_8B, QLORA, 8 * GIB)
    assert longest_sequence(LLAMA_3_8B, replace(QLORA, memory=80 * GIB), 8 * GIB) == alone


def test_nothing_fits_in_no_memory() -> None:
    assert largest_batch(LLAMA_3_8B, QLORA, GIB) == 0
    assert longest_sequence(LLAMA_3_8B, QLORA, GIB) == 0
