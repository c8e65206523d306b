"""The plan: every value of a run resolved, with where it came from and why."""

import math
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from pydantic import BaseModel, ValidationError

from trainer_core.config.load import LoadedConfig
from trainer_core.config.origin import Origin
from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError
from trainer_core.hardware.facts import MachineFacts
from trainer_core.planning import rules
from trainer_core.planning.backend import BackendChoice
from trainer_core.planning.bases import AdapterFacts
from trainer_core.planning.choices import Choices, field_names
from trainer_core.planning.corrections import Corrections
from trainer_core.planning.facts import DataFacts, ModelFacts, ShardFacts
from trainer_core.planning.fitting import MemoryPlan, fit, memory_plan
from trainer_core.planning.multi_run import (
    PlannedRun,
    mean_passes,
    of_one_run,
    planned_runs,
    require_general,
    require_narrow,
    run_steps,
    shards_of,
    whole_steps,
)
from trainer_core.planning.rules import Reasoned
from trainer_core.planning.unused import require_targets, unused

# bfloat16 on a CPU pays only where the CPU multiplies it in hardware and the model is not tiny.
CPU_BFLOAT16_PARAMETERS = 100_000_000
# A run of this many steps is worth a minute of measuring before it.
LONG_RUN = 500


# Of resolved.yaml.
FORMAT = 3


class ResolvedRun(BaseModel):
    """A run with nothing left open; resolved.yaml holds exactly this."""

    format: int = FORMAT
    config: RunConfig
    # Of all runs; baselines to compare with included.
    total_steps: int
    epochs: float
    # Of a multi-run; empty where there is only the one.
    runs: list[PlannedRun] = []
    origins: dict[str, Origin]
    memory: MemoryPlan | None = None
    warnings: list[str] = []
    # The config as it was given, plain: a resume sees what was edited since.
    given: dict[str, Any] = {}

    def values(self) -> dict[str, Any]:
        """The config as a flat mapping of dotted names."""
        dumped = self.config.model_dump()
        found = {
            f"{section}.{name}": dumped[section][name]
            for section, _, name in (n.partition(".") for n in field_names(self.config))
        }
        return found | {"training.epochs": round(self.epochs, 4)}

    def reasons(self) -> dict[str, str]:
        """Why each value is what it is, by dotted name."""
        return {name: f"{origin.origin}: {origin.why}" for name, origin in self.origins.items()}


def plan(
    loaded: LoadedConfig,
    machine: MachineFacts,
    model: ModelFacts,
    data: DataFacts,
    backend: BackendChoice,
    early: Mapping[str, Reasoned],
    adapter: AdapterFacts | None = None,
    corrections: Corrections | None = None,
) -> ResolvedRun:
    """Resolve every "auto" of a config. `early` are the choices that came before the examples were
    cut and packed, `adapter` describes the one to go on with.

    Raises UserError where the choices of the user do not fit together.
    """

    def planned(correction: float) -> ResolvedRun:
        return _plan(loaded, machine, model, data, backend, early, adapter, correction)

    run = planned(1.0)
    measured = corrections.of(run.config, model, machine) if corrections is not None else 1.0
    # What was measured for a run like this one may leave room for less.
    return run if measured == 1.0 else planned(measured)


def _plan(
    loaded: LoadedConfig,
    machine: MachineFacts,
    model: ModelFacts,
    data: DataFacts,
    backend: BackendChoice,
    early: Mapping[str, Reasoned],
    adapter: AdapterFacts | None,
    correction: float,
) -> ResolvedRun:
    choices = Choices(loaded)
    choices.decide_open("model.backend", backend.name, backend.why)
    for name, (value, why) in early.items():
        if why != "as configured":
            choices.decide(name, value, why)
    _formats(choices, machine, model)
    _adapter(choices, model, data, adapter)
    passes = _passes(choices, data)
    shards = _shards(choices, data)
    require_narrow(choices.config, model)
    _batch(choices, machine, model, of_one_run(data, shards), passes, correction)
    if shards:
        steps = _steps_of_runs(choices, shards, passes)
        total = whole_steps(choices.config, steps)
        epochs = mean_passes(choices.config, shards, steps)
        _rate(choices, model, max(steps))
        _intervals(choices, sum(steps), of_a_run=min(steps))
    else:
        steps = []
        total, in_an_epoch = _steps(choices, data, passes)
        epochs = total / max(1, in_an_epoch)
        _rate(choices, model, total)
        _intervals(choices, total, of_a_run=total)
    config = _checked(choices)
    return ResolvedRun(
        given=loaded.data,
        config=config,
        total_steps=total,
        epochs=epochs,
        runs=planned_runs(config, shards, steps, choices.origins),
        origins=choices.origins,
        memory=memory_plan(config, model, machine, _tokens(config, data), correction),
        warnings=[*unused(config, choices.origins, data), *_warnings(config, model, data)],
    )


def way_to_fit(run: ResolvedRun) -> str:
    """What a person can change where the estimate is over the budget."""
    config, memory = run.config, run.memory
    ways = []
    if config.training.batch_size != 1:
        ways.append("training.batch_size: 1")
    if config.training.gradient_checkpointing == "off":
        ways.append("training.gradient_checkpointing: on")
    if memory is not None and memory.longest >= rules.LENGTH_UNIT:
        ways.append(f"model.max_length: {memory.longest} (which fits)")
    if config.training.method == "full":
        ways.append("training.method: lora")
    elif config.model.quantization == "none":
        ways.append("model.quantization: 4bit")
    ways.append("a smaller model")
    return f"Try {', or '.join(ways)}; safety.over_memory: warn tries it all the same."


def _formats(choices: Choices, machine: MachineFacts, model: ModelFacts) -> None:
    if model.quantized != "none":
        wish = choices.config.model.quantization
        if wish not in ("auto", model.quantized):
            raise UserError(
                f"{choices.config.model.base} is quantised ({model.quantized}), and "
                f"model.quantization is {wish}",
                hint="Name the model that it was made from, or leave model.quantization out.",
            )
        choices.decide_open("model.quantization", model.quantized, "the base is quantised")
    if choices.is_open("model.dtype"):
        full = choices.config.training.method == "full"
        choices.decide("model.dtype", *_dtype(machine, model, full=full))
    weights = choices.config.model.dtype
    if machine.gpus and not machine.gpu_bfloat16 and weights == "float32":
        choices.decide_open("training.precision", "float16", "the GPU is too old for bfloat16")
    choices.decide_open("training.precision", weights, "that of the weights")
    on_gpu, has_8bit = bool(machine.gpus), find_spec("bitsandbytes") is not None
    if on_gpu and has_8bit:
        choices.decide_open("training.optimizer", "adamw_8bit", "its state takes a quarter")
    else:
        why = "bitsandbytes is not installed" if on_gpu else "no GPU"
        choices.decide_open("training.optimizer", "adamw", why)


def _dtype(machine: MachineFacts, model: ModelFacts, *, full: bool) -> Reasoned:
    if machine.gpus and machine.gpu_bfloat16:
        return "bfloat16", "the GPU computes in it"
    if machine.gpus and full:
        return "float32", "the GPU is too old for bfloat16, and trained weights lose too much in 16"
    if machine.gpus:
        return "float16", "the GPU is too old for bfloat16"
    if machine.cpu_bfloat16 and model.parameters > CPU_BFLOAT16_PARAMETERS:
        return "bfloat16", "no GPU; the CPU has bfloat16 and the model is large"
    if machine.cpu_bfloat16:
        return "float32", "no GPU; the model is small"
    return "float32", "no GPU, and bfloat16 is slow on this CPU"


def _adapter(
    choices: Choices, model: ModelFacts, data: DataFacts, adapter: AdapterFacts | None
) -> None:
    lora = choices.config.lora
    if model.shape is not None:
        require_targets(lora.targets, model)
    if choices.config.training.method == "full":
        choices.decide_open("lora.rank", 16, "without effect: all weights are trained")
        return
    if adapter is None:
        per_rank = model.shape.lora_parameters(1, lora.targets) if model.shape is not None else 0
        if per_rank:
            choices.decide_open("lora.rank", *rules.rank(data.trained_tokens, per_rank))
        choices.decide_open("lora.rank", rules.RANKS[0], "the model's sizes are not known")
        return
    why = "the adapter's own"
    own: dict[str, Any] = {"rank": adapter.rank, "alpha": adapter.alpha, "rslora": adapter.rslora}
    own |= {"dora": adapter.dora, "targets": adapter.targets or lora.targets}
    for field, value in own.items():
        name = f"lora.{field}"
        chosen = getattr(lora, field)
        same = chosen == "auto" or _as_set(chosen) == _as_set(value)
        if choices.origins[name].origin == "user" and not same:
            raise UserError(
                f"{name} is {chosen}, but the adapter in {lora.adapter} has {value}",
                hint="Leave it out, or train a new adapter.",
            )
        choices.decide(name, value, why)


def _as_set(value: Any) -> Any:
    """Targets in any order are the same ones."""
    return set(value) if isinstance(value, list) else value


def _passes(choices: Choices, data: DataFacts) -> float | None:
    """How often the data is passed over; None if the steps are counted instead."""
    training = choices.config.training
    if training.steps != "auto":
        return None
    if training.epochs in ("auto", None):
        value, why = rules.epochs(data.trained_tokens)
        choices.decide("training.epochs", value, why)
    return float(choices.config.training.epochs or 1)


def _batch(
    choices: Choices,
    machine: MachineFacts,
    model: ModelFacts,
    data: DataFacts,
    passes: float | None,
    correction: float,
) -> None:
    training = choices.config.training
    steps = None if training.steps == "auto" else training.steps
    batch, accumulation = training.batch_size, training.gradient_accumulation
    fixed = 1 if accumulation == "auto" else accumulation
    if batch != "auto" and accumulation != "auto":
        fit(choices, model, machine, _tokens(choices.config, data), batch, correction)
        choices.decide_open("training.effective_batch", batch * accumulation, "both are given")
        return
    wanted, why = rules.effective_batch(data, passes, steps)
    if training.effective_batch != "auto":
        wanted, why = training.effective_batch, "effective_batch is given"
    most = wanted if batch == "auto" else batch
    tokens = _tokens(choices.config, data)
    fit(choices, model, machine, tokens, max(1, most // fixed), correction)
    size = choices.config.training.batch_size
    if accumulation == "auto":
        # Rounded up, so that a step never sees fewer examples than the rule wants.
        needed = math.ceil(wanted / size)
        choices.decide("training.gradient_accumulation", needed, f"{wanted} in a step: {why}")
        fixed = needed
    if training.effective_batch == "auto":
        choices.decide("training.effective_batch", size * fixed, why)


def _steps(choices: Choices, data: DataFacts, passes: float | None) -> tuple[int, int]:
    """The steps of the run, and of one pass, as the loop counts them."""
    training = choices.config.training
    micro_batches = math.ceil(data.train / int(training.batch_size))
    in_an_epoch = math.ceil(micro_batches / int(training.gradient_accumulation))
    if passes is None:
        total = int(training.steps)
        choices.decide("training.epochs", None, f"{total:,} steps of {in_an_epoch:,} in a pass")
        return total, in_an_epoch
    total = max(1, math.ceil(passes * in_an_epoch))
    rows = "examples" if data.train == (data.examples or data.train) else "packed rows"
    counted = f"{passes:g} epochs of {data.train:,} {rows}, {training.effective_batch} a step"
    choices.decide("training.steps", total, counted)
    why = choices.origins["training.epochs"]
    choices.config.training.__dict__["epochs"] = None
    choices.origins["training.epochs"] = why
    return total, in_an_epoch


def _shards(choices: Choices, data: DataFacts) -> tuple[ShardFacts, ...]:
    wanted = choices.config.multi_run
    if not wanted.several:
        choices.decide_open("multi_run.merge", "none", "a single run")
        return ()
    if wanted.stages:
        choices.decide_open("multi_run.merge", "none", "stages build on one another")
    choices.decide_open("multi_run.merge", "slao", "so that little is forgotten")
    require_general(choices.config, data)
    return shards_of(choices.config, data)


def _steps_of_runs(
    choices: Choices, shards: tuple[ShardFacts, ...], passes: float | None
) -> list[int]:
    steps = run_steps(choices.config, shards, passes)
    counted = f"the longest of {len(steps)} runs, {sum(steps):,} steps in all"
    choices.decide_open("training.steps", max(steps), counted)
    choices.config.training.__dict__["epochs"] = None
    return steps


def _rate(choices: Choices, model: ModelFacts, total: int) -> None:
    if choices.is_open("training.learning_rate"):
        value, why = rules.learning_rate(
            model.model_type,
            model.shape.hidden if model.shape is not None else None,
            model.parameters,
            total,
            full=choices.config.training.method == "full",
            continued=choices.config.lora.adapter is not None,
        )
        choices.decide("training.learning_rate", value, why)


def _intervals(choices: Choices, total: int, of_a_run: int) -> None:
    warmup = min(math.ceil(of_a_run * 0.05), 100)
    choices.decide_open("training.warmup_steps", warmup, "5 % of the steps, at most 100")
    between = max(1, min(500, total // 10, of_a_run))
    choices.decide_open(
        "training.eval_steps", between, "ten times in a run, at least every 500 steps"
    )
    choices.decide_open(
        "training.sample_steps", choices.config.training.eval_steps, "as often as validation"
    )
    between = max(1, min(200, of_a_run // 5))
    choices.decide_open(
        "training.save_steps", between, "five times in a run, at least every 200 steps"
    )
    long = total >= LONG_RUN
    why = f"{total:,} steps" if long else f"{total:,} steps are fewer than {LONG_RUN}"
    choices.decide_open("safety.probe", "on" if long else "off", why)


def _checked(choices: Choices) -> RunConfig:
    try:
        return choices.result()
    except ValidationError as error:
        raise UserError(
            f"the config does not fit together: {error.errors()[0]['msg']}",
            hint="Leave out one of the fields that it names, and it is planned.",
        ) from None


def _tokens(config: RunConfig, data: DataFacts) -> int:
    """The longest row of a micro-batch: with packing, every row is as long as may be."""
    length = config.model.max_length
    if config.training.packing == "pack" and length != "auto":
        return length
    return max(1, data.longest)


def _warnings(config: RunConfig, model: ModelFacts, data: DataFacts) -> list[str]:
    found = []
    rank = config.lora.rank
    if config.training.method == "lora" and model.shape is not None and rank != "auto":
        trained = model.shape.lora_parameters(rank, config.lora.targets)
        if data.trained_tokens > 2 * trained > 0:
            found.append(
                f"the adapter has {trained:,} parameters for {data.trained_tokens:,} trained "
                "tokens: it may be too small to learn them; a higher lora.rank holds more"
            )
    return found
