"""The plan: every value of a run resolved, with where it came from and why."""

import math
from typing import Any, Literal

from pydantic import BaseModel

from trainer_core.config.schema import RunConfig
from trainer_core.hardware.facts import MachineFacts
from trainer_core.planning.backend import BackendChoice
from trainer_core.planning.facts import DataFacts, ModelFacts

# bfloat16 on a CPU pays only where the CPU multiplies it in hardware and the model is not tiny.
CPU_BFLOAT16_PARAMETERS = 100_000_000
DEFAULT_MAX_LENGTH = 2048


class Origin(BaseModel):
    """Where a value came from. `why` is for people."""

    origin: Literal["user", "preset", "auto"]
    why: str


class ResolvedRun(BaseModel):
    """A run with nothing left open; resolved.yaml holds exactly this."""

    format: int = 1
    config: RunConfig
    total_steps: int
    epochs: float
    origins: dict[str, Origin]

    def values(self) -> dict[str, Any]:
        """The config as a flat mapping of dotted names."""
        return {
            f"{section}.{name}": value
            for section, fields in self.config.model_dump().items()
            for name, value in fields.items()
        }

    def reasons(self) -> dict[str, str]:
        """Why each value is what it is, by dotted name."""
        return {name: f"{origin.origin}: {origin.why}" for name, origin in self.origins.items()}


def plan_max_length(config: RunConfig, model: ModelFacts) -> tuple[int, str]:
    """The longest example, which must be known before tokenising. In tokens, with the reason."""
    wish = config.model.max_length
    if wish == "auto":
        length = min(model.context, DEFAULT_MAX_LENGTH)
        return length, f"the model's context is {model.context:,} tokens"
    if wish > model.context:
        return model.context, f"{wish:,} was asked for; the model's context is {model.context:,}"
    return wish, "as configured"


def plan(
    config: RunConfig,
    given: frozenset[str],
    machine: MachineFacts,
    model: ModelFacts,
    data: DataFacts,
    backend: BackendChoice,
) -> ResolvedRun:
    """Resolve every "auto" of `config`. `given` names the fields that the user wrote."""
    resolved = config.model_copy(deep=True)
    origins = {name: _origin(name, given) for name in _field_names(config)}

    def decide(section: str, name: str, value: Any, why: str) -> None:
        setattr(getattr(resolved, section), name, value)
        origins[f"{section}.{name}"] = Origin(origin="auto", why=why)

    training = config.training
    if config.model.backend == "auto":
        decide("model", "backend", backend.name, backend.why)
    if config.model.dtype == "auto":
        decide("model", "dtype", *_dtype(machine, model))
    length, why = plan_max_length(config, model)
    if length != config.model.max_length:
        decide("model", "max_length", length, why)
    effective = training.batch_size * training.gradient_accumulation
    batches = math.ceil(data.train / training.batch_size)
    steps_per_epoch = math.ceil(batches / training.gradient_accumulation)
    if training.steps is None:
        epochs = training.epochs or 1.0
        total = max(1, math.ceil(epochs * steps_per_epoch))
        why = f"{epochs:g} epochs of {data.train:,} examples, {effective} a step"
        if training.epochs is not None:
            decide("training", "epochs", None, "counted in steps from here on")
        decide("training", "steps", total, why)
    else:
        total = training.steps
    if training.warmup_steps == "auto":
        warmup = min(math.ceil(total * 0.05), 100)
        decide("training", "warmup_steps", warmup, "5 % of the steps, at most 100")
    if training.eval_steps == "auto":
        interval = max(1, min(500, total // 10))
        decide("training", "eval_steps", interval, "ten times in a run, at least every 500 steps")
    if training.save_steps == "auto":
        interval = max(1, min(200, total // 5))
        decide("training", "save_steps", interval, "five times in a run, at least every 200 steps")
    return ResolvedRun(
        config=resolved, total_steps=total, epochs=total / max(1, steps_per_epoch), origins=origins
    )


def _dtype(machine: MachineFacts, model: ModelFacts) -> tuple[str, str]:
    if machine.gpus:
        return "bfloat16", "an NVIDIA GPU is there"
    if machine.cpu_bfloat16 and model.parameters > CPU_BFLOAT16_PARAMETERS:
        return "bfloat16", "no GPU; the CPU has bfloat16 and the model is large"
    if machine.cpu_bfloat16:
        return "float32", "no GPU; the model is small"
    return "float32", "no GPU, and bfloat16 is slow on this CPU"


def _origin(name: str, given: frozenset[str]) -> Origin:
    if name in given:
        return Origin(origin="user", why="as configured")
    return Origin(origin="preset", why="the default of the schema")


def _field_names(config: RunConfig) -> list[str]:
    sections = type(config).model_fields
    return [
        f"{section}.{name}"
        for section in sections
        for name in type(getattr(config, section)).model_fields
    ]
