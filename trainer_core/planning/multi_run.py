"""The runs of a multi-run, planned: how long each is, and at what rate it learns."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from pydantic import BaseModel

from trainer_core.config.multi_run_section import StageSection
from trainer_core.config.origin import Origin
from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError
from trainer_core.planning.facts import DataFacts, ModelFacts, ShardFacts

_FROM_THE_BASE = ("pissa", "olora")


class PlannedRun(BaseModel):
    """One run of several. `rows` is what batches are made of in one pass, with the `replayed` ones
    of runs before; `warmup_steps` are of its own `steps`."""

    number: int
    name: str
    rows: int
    replayed: int
    steps: int
    learning_rate: float
    warmup_steps: int
    max_length: int | None = None
    target_loss: float | None = None


def limits(config: RunConfig) -> Iterator[tuple[bool, str, str]]:
    """What `multi_run` cannot do: whether it is asked for, a sentence, and a way out."""
    wanted, sources = config.multi_run, len(config.data.train)
    unmerged = wanted.merge == "none" or (wanted.merge == "auto" and bool(wanted.stages))
    merges = wanted.several and not unmerged
    yield (
        merges and config.training.method == "full",
        "a multi-run merges adapters, and training.method: full trains all weights",
        "Set multi_run.merge: none, or training.method: lora.",
    )
    yield (
        merges and config.lora.dora,
        "a multi-run merges plain adapters, and lora.dora asks for another kind",
        "Leave it out, or set multi_run.merge: none.",
    )
    yield (
        wanted.several and config.lora.init in _FROM_THE_BASE,
        f"lora.init: {config.lora.init} takes weights out of the base, and each run of a multi-run "
        "begins with it whole",
        "Set lora.init: default.",
    )
    yield (
        bool(wanted.compare) and wanted.several and config.training.method == "full",
        "multi_run.compare begins anew from the base, and training.method: full has changed it",
        "Leave it out, or set training.method: lora.",
    )
    yield (
        wanted.by_source and sources == 1,
        "multi_run.by_source is a run for each source, and data.train has one",
        "Name several sources in data.train, or set multi_run.runs instead.",
    )
    yield (
        wanted.by_source and wanted.runs not in (1, sources),
        f"multi_run.runs is {wanted.runs}, and data.train has {sources} sources",
        "Leave multi_run.runs out: by_source is a run for each.",
    )
    for place, stage in enumerate(wanted.stages):
        wrong = [n for n in stage.sources or [place + 1] if n > sources]
        yield (
            bool(wrong),
            f"stage {place + 1} trains on source {wrong[0] if wrong else 0} of data.train, which "
            f"has {sources}",
            "Name its sources in multi_run.stages, counted from 1.",
        )
        length = config.model.max_length
        yield (
            stage.max_length is not None and length != "auto" and stage.max_length > length,
            f"stage {place + 1} takes {stage.max_length} tokens, and model.max_length is {length}",
            "Raise model.max_length: no stage can take more.",
        )


def count_runs(config: RunConfig) -> int:
    """How many runs there will be."""
    wanted = config.multi_run
    if wanted.stages:
        return len(wanted.stages)
    return len(config.data.train) if wanted.by_source else wanted.runs


def shards_of(config: RunConfig, data: DataFacts) -> tuple[ShardFacts, ...]:
    """What each run trains on, as the data was cut; in equal parts where nobody has cut it yet."""
    if data.shards or not config.multi_run.several:
        return data.shards
    count = count_runs(config)
    names = [stage.name or f"stage {n}" for n, stage in enumerate(config.multi_run.stages, 1)]
    names = names or [f"shard {number}" for number in range(1, count + 1)]
    rows = max(1, data.train // count)
    most = config.multi_run.samples
    rows = rows if most is None else min(rows, most)
    share = config.multi_run.replay
    replayed = [0] + [round(rows * share / (1 - share))] * (count - 1)
    return tuple(
        ShardFacts(name, rows + more, more) for name, more in zip(names, replayed, strict=True)
    )


def of_one_run(data: DataFacts, shards: tuple[ShardFacts, ...]) -> DataFacts:
    """The data that one run sees, for the rules that look at a run; the smallest shard's."""
    if not shards:
        return data
    rows = min(shard.rows for shard in shards)
    examples = round((data.examples or data.train) * rows / max(1, data.train))
    return replace(data, train=rows, examples=max(1, examples))


def run_steps(config: RunConfig, shards: tuple[ShardFacts, ...], passes: float | None) -> list[int]:
    """The optimizer steps of each run. `passes` is None where training.steps counts them."""
    return [
        _steps(config, shard.rows, passes, stage)
        for shard, stage in zip(shards, _stages(config, len(shards)), strict=True)
    ]


def planned_runs(
    config: RunConfig,
    shards: tuple[ShardFacts, ...],
    steps: list[int],
    origins: Mapping[str, Origin],
) -> list[PlannedRun]:
    """The runs in order, once everything that they share is decided."""
    stages = _stages(config, len(shards))
    found = []
    for place, (shard, stage) in enumerate(zip(shards, stages, strict=True)):
        found.append(
            PlannedRun(
                number=place + 1,
                name=shard.name,
                rows=shard.rows,
                replayed=shard.replayed,
                steps=steps[place],
                learning_rate=stage.learning_rate or _rate(config, place, len(shards)),
                warmup_steps=_warmup(config, stage, place, steps[place], origins),
                max_length=stage.max_length,
                target_loss=stage.target_loss,
            )
        )
    return found


def mean_passes(config: RunConfig, shards: tuple[ShardFacts, ...], steps: list[int]) -> float:
    """How often a run passes over its rows, on average."""
    in_a_step = int(config.training.batch_size) * int(config.training.gradient_accumulation)
    passes = [n * in_a_step / shard.rows for n, shard in zip(steps, shards, strict=True)]
    return sum(passes) / len(passes)


def whole_steps(config: RunConfig, steps: list[int]) -> int:
    """The steps of all runs, baselines included."""
    return sum(steps) * (1 + len(config.multi_run.compare))


def _stages(config: RunConfig, count: int) -> list[StageSection]:
    return config.multi_run.stages or [StageSection()] * count


def _steps(config: RunConfig, rows: int, passes: float | None, stage: StageSection) -> int:
    training = config.training
    if stage.steps is not None:
        return stage.steps
    if stage.epochs is None and passes is None:
        return int(training.steps)
    micro_batches = math.ceil(rows / int(training.batch_size))
    in_an_epoch = math.ceil(micro_batches / int(training.gradient_accumulation))
    return max(1, math.ceil((stage.epochs or passes or 1) * in_an_epoch))


def _rate(config: RunConfig, place: int, count: int) -> float:
    """From training.learning_rate to last_learning_rate, each run's the same share of the one
    before."""
    first, last = float(config.training.learning_rate), config.multi_run.last_learning_rate
    if last is None or count == 1:
        return first
    return float(f"{first * (last / first) ** (place / (count - 1)):.4g}")


def _warmup(
    config: RunConfig,
    stage: StageSection,
    place: int,
    steps: int,
    origins: Mapping[str, Origin],
) -> int:
    if stage.warmup_steps is not None:
        return stage.warmup_steps
    if place and config.multi_run.warmup == "first":
        return 0
    if origins["training.warmup_steps"].origin == "auto":
        return min(math.ceil(steps * 0.05), 100)
    return int(config.training.warmup_steps)


def require_narrow(config: RunConfig, model: ModelFacts) -> None:
    """Raises UserError where a start is to be orthonormal and a layer is narrower than the rank."""
    lora, merge = config.lora, config.multi_run.merge
    qr = config.multi_run.several and merge.startswith("slao") and merge != "slao-without-qr"
    if not qr or model.shape is None or lora.rank == "auto":
        return
    for name, (inside, _, _) in model.shape.modules().items():
        if inside < lora.rank and (lora.targets == "all-linear" or name in lora.targets):
            raise UserError(
                f"lora.rank is {lora.rank}, and {name} takes {inside} values: {merge} needs a rank "
                "that is no more",
                hint="Lower lora.rank, or set multi_run.merge: slao-without-qr.",
            )


def require_general(config: RunConfig, data: DataFacts) -> None:
    """Raises UserError where the end of a multi-run hangs on a slice that is not there."""
    wanted = config.multi_run
    if wanted.patience is not None and (wanted.eval_rows == 0 or data.validation == 0):
        raise UserError(
            "multi_run.patience waits for a lower loss on validation, and none is measured",
            hint="Give data.validation rows and multi_run.eval_rows, or leave patience out.",
        )
