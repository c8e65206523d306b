"""Making a run fit: quantization, gradient checkpointing and the micro-batch, chosen together."""

from dataclasses import replace

from pydantic import BaseModel

from trainer_core.config.model_section import Quantization
from trainer_core.config.schema import RunConfig
from trainer_core.config.training_section import Checkpointing
from trainer_core.hardware.facts import MachineFacts
from trainer_core.planning.choices import Choices
from trainer_core.planning.facts import ModelFacts
from trainer_core.planning.memory import (
    HEADROOM,
    MEASURED_HEADROOM,
    MemorySettings,
    estimate,
    largest_batch,
    longest_sequence,
)
from trainer_core.planning.rules import RANKS

GIB = 1 << 30
# 16-bit weights are for machines on which they leave room; else the base is quantised.
ROOMY = 0.85
# More examples in a micro-batch than this are not faster.
MOST_IN_A_BATCH = 16


class MemoryPlan(BaseModel):
    """What the run will take, in bytes, by component, and what there is. A loss in chunks takes
    more where there is more; `least` is the total with the smallest. `correction` is what earlier
    runs like it on this machine measured, as a share of their estimates."""

    device: str
    parts: dict[str, int]
    total: int
    least: int
    budget: int
    correction: float = 1.0
    longest: int = 0

    @property
    def fits(self) -> bool:
        """Whether the estimate stays within the budget."""
        return self.least <= self.budget


def usable(memory: int, *, measured: bool = False) -> int:
    """What a plan may use of `memory` bytes, so that headroom is left: less where a run like it was
    measured on the same device."""
    return int(memory * (1 - (MEASURED_HEADROOM if measured else HEADROOM)))


def budget(config: RunConfig, machine: MachineFacts) -> tuple[int, str]:
    """The bytes that a run may take, and of what."""
    if machine.gpus:
        gpu = machine.gpus[0]
        there = (gpu.memory_total or 0) - machine.gpu_used
        device = f"GPU {gpu.index}: {gpu.name}"
    else:
        there, device = machine.ram_free or machine.ram, "RAM"
    limit = config.safety.memory_limit
    return (there if limit is None else min(there, int(limit * GIB))), device


def memory_settings(config: RunConfig, tokens: int, machine: MachineFacts) -> MemorySettings:
    """What the estimate depends on. What is still open in `config` counts as what takes least."""
    on_gpu = bool(machine.gpus)
    unsloth = config.model.backend != "transformers"
    model, training, rank = config.model, config.training, config.lora.rank
    quantization, checkpointing = model.quantization, training.gradient_checkpointing
    least_bits: Quantization = "4bit" if on_gpu and training.method == "lora" else "none"
    return MemorySettings(
        method=training.method,
        rank=RANKS[0] if rank == "auto" else rank,
        targets=config.lora.targets,
        dtype=("bfloat16" if on_gpu else "float32") if model.dtype == "auto" else model.dtype,
        quantization=least_bits if quantization == "auto" else quantization,
        optimizer="adamw_8bit" if training.optimizer == "auto" and on_gpu else training.optimizer,
        batch_size=1 if training.batch_size == "auto" else training.batch_size,
        tokens=tokens,
        checkpointing=_cheapest(config) if checkpointing == "auto" else checkpointing,
        loss="chunked" if unsloth else "trl" if chunks_loss(config) else "stock",
        attention="eager" if model.attention == "eager" else "sdpa",
        device="cuda" if on_gpu else "cpu",
        packed=training.packing in ("pack", "padding-free"),
        upcast=not unsloth,
        memory=budget(config, machine)[0],
    )


def chunks_loss(config: RunConfig) -> bool:
    """Whether the transformers backend computes the loss a chunk at a time: TRL cannot where the
    head has an adapter of its own."""
    return config.training.method == "full" or "lm_head" not in config.lora.targets


def most_tokens(config: RunConfig, model: ModelFacts, machine: MachineFacts) -> int | None:
    """The longest example that any setting still open makes fit; None where nothing is known."""
    if model.shape is None:
        return None
    room, _ = budget(config, machine)
    if room <= 0:
        return None
    return longest_sequence(model.shape, memory_settings(config, 1, machine), usable(room))


def fit(
    choices: Choices,
    model: ModelFacts,
    machine: MachineFacts,
    tokens: int,
    most: int,
    correction: float,
) -> None:
    """Decide quantization, checkpointing and the micro-batch, of at most `most` examples of
    `tokens` tokens each, where estimates are multiplied by `correction`."""
    _quantization(choices, model, machine, tokens)
    room = int(usable(budget(choices.config, machine)[0]) / correction)
    if model.shape is None or room <= 0:
        why = "the model's sizes are not known" if model.shape is None else "nor is the memory"
        choices.decide_open("training.gradient_checkpointing", "off", why)
        choices.decide_open("training.batch_size", min(most, 2), why)
        return
    config, shape = choices.config, model.shape
    given = config.training.batch_size
    wanted = min(most, MOST_IN_A_BATCH) if given == "auto" else given
    settings = replace(memory_settings(config, tokens, machine), batch_size=wanted, memory=0)
    if choices.is_open("training.gradient_checkpointing"):
        without = estimate(shape, replace(settings, checkpointing="off")).total <= room
        value = "off" if without else _cheapest(config)
        how = "fits" if without else "would not fit"
        why = f"a micro-batch of {wanted} {how} without"
        choices.decide("training.gradient_checkpointing", value, why)
        settings = replace(settings, checkpointing=value)
    if choices.is_open("training.batch_size"):
        size = min(wanted, max(1, largest_batch(shape, settings, room)))
        size = 1 << (size.bit_length() - 1) if size < wanted else size
        why = f"{size} of {tokens:,} tokens fit"
        if size == wanted:
            why = f"no more are needed, and {why}"
        choices.decide("training.batch_size", size, why)


def memory_plan(
    config: RunConfig,
    model: ModelFacts,
    machine: MachineFacts,
    tokens: int,
    correction: float,
) -> MemoryPlan | None:
    """The estimate of a config with nothing open; None for a model whose sizes are not known."""
    room, device = budget(config, machine)
    if model.shape is None or room <= 0:  # not every GPU tells how much it has
        return None
    settings = memory_settings(config, tokens, machine)
    found = estimate(model.shape, settings).scaled(correction)
    least = estimate(model.shape, replace(settings, memory=0)).scaled(correction)
    return MemoryPlan(
        device=device,
        parts=found.components(),
        total=found.total,
        least=least.total,
        budget=room,
        correction=correction,
        longest=longest_sequence(
            model.shape, settings, int(usable(room, measured=correction != 1) / correction)
        ),
    )


def _quantization(choices: Choices, model: ModelFacts, machine: MachineFacts, tokens: int) -> None:
    if not choices.is_open("model.quantization"):
        return
    config = choices.config
    if config.training.method == "full":
        choices.decide("model.quantization", "none", "all weights are trained")
    elif not machine.gpus:
        choices.decide("model.quantization", "none", "on a CPU it saves memory only, and is slow")
    elif model.shape is None or budget(config, machine)[0] <= 0:
        choices.decide("model.quantization", "4bit", "whether 16 bits fit is not known")
    else:
        room, _ = budget(config, machine)
        settings = replace(memory_settings(config, tokens, machine), quantization="none")
        share = estimate(model.shape, settings).total / max(1, room)
        fits = share <= ROOMY
        choices.decide(
            "model.quantization",
            "none" if fits else "4bit",
            f"16-bit weights would take {share:.0%} of memory",
        )


def _cheapest(config: RunConfig) -> Checkpointing:
    """The checkpointing that takes least memory under the config's backend."""
    return "on" if config.model.backend == "transformers" else "unsloth"
