"""treinar_unsloth: the stages of a training. One is a run; several, or one that ends at a loss, are
the stages of a multi-run on the same rows."""

from collections.abc import Mapping
from typing import Any

from trainer_core.config.imports import treinar_folders as rows
from trainer_core.config.imports import treinar_training as loop
from trainer_core.config.imports.reading import Reading, Rule, Table
from trainer_core.config.imports.rules import (
    put_name,
    read_with_others,
    settled,
    to,
    unsupported,
)
from trainer_core.config.imports.values import blank, off, whole
from trainer_core.config.imports.values import number as number_of
from trainer_core.config.yaml_file import Keys

# Keys of `treinamento` that have no say where the stage set these fields.
_OF_STAGE = {
    "num_train_epochs": "training.epochs",
    "epochs": "training.epochs",
    "max_seq_length": "model.max_length",
    "learning_rate": "training.learning_rate",
    "batch_size": "training.batch_size",
    "warmup_steps": "training.warmup_steps",
}


# Of a stage after the first: what all of them share.
_OTHERWISE = unsupported("all stages have that of the first; train another as a run of its own")


def stage_of(reading: Reading, holder: str) -> Keys:
    """Where the stage stands: `divisao` itself, or the first of a list; empty if there is none."""
    at = (holder, "divisao")
    value = reading.value(*at)
    if not value:
        return ()
    stage_at: Keys = (*at, 0) if isinstance(value, list) else at
    stage = reading.value(*stage_at)
    if not isinstance(stage, dict):
        raise reading.refusal(stage_at, "should be a stage with alias, arquivo, tipo…", stage)
    return stage_at


def read_stage(reading: Reading, at: Keys) -> Mapping[str, Rule]:
    """Set our fields from the stage at `at`, and from those after it; gives rules for the keys of
    `treinamento` that it takes the place of."""
    value = reading.value(*at[:2])
    stages = value if isinstance(value, list) else [value]
    if len(stages) == 1:
        by_loss = not off(stages[0].get("pace_loss"))
        ends = _ends("multi_run.stages.0") if by_loss else {}
        reading.follow({**rows.SPLIT, **stage_table(), **ends}, stages[0], at)
        if by_loss:
            reading.put("multi_run.stages.0.sources", [1], (*at, "pace_loss"))
        return {key: _said_by_stage for key, ours in _OF_STAGE.items() if reading.has(ours)}
    places: list[Keys] = [(*at[:2], number) for number in range(len(stages))]
    for number, (place, stage) in enumerate(zip(places, stages, strict=True)):
        if not isinstance(stage, dict):
            raise reading.refusal(place, "should be a stage with alias, arquivo, tipo…", stage)
        _read_one(reading, place, stage, stages[0], number)
    shared = {"batch_size": _said_by_stage} if reading.has("training.batch_size") else {}
    return {**shared, **_share_length(reading, places)}


def _read_one(
    reading: Reading, at: Keys, stage: dict[str, Any], first: dict[str, Any], number: int
) -> None:
    """One of several stages: its own settings, on the rows of all."""
    ours = f"multi_run.stages.{number}"
    reading.put(f"{ours}.sources", [1], at)
    table: dict[str, Rule | Table] = {**rows.SPLIT, **stage_table()}
    if number:
        for key in (*rows.SPLIT, "tipo", "batch_size"):
            alike = first.get(key) == stage.get(key)
            table[key] = read_with_others if alike else _OTHERWISE
    table |= {
        "alias": to(f"{ours}.name", str),
        "pace_epochs": _unless_zero(to(f"{ours}.epochs", number_of)),
        "max_seq_length": _unless_zero(to(f"{ours}.max_length", whole)),
        "learning_rate": _unless_zero(to(f"{ours}.learning_rate", number_of)),
        "warmup_steps": to(f"{ours}.warmup_steps", whole),
    }
    if not off(stage.get("pace_loss")):
        table |= _ends(ours)
        if not off(stage.get("pace_epochs_max")):
            table["pace_epochs"] = _no_longer
    reading.follow(table, stage, at)


def _ends(ours: str) -> dict[str, Rule]:
    """A stage that ends at a loss, but is no longer than pace_epochs_max."""
    return {
        "pace_loss": to(f"{ours}.target_loss", number_of),
        "pace_epochs_max": _unless_zero(to(f"{ours}.epochs", number_of)),
    }


def _share_length(reading: Reading, places: list[Keys]) -> Mapping[str, Rule]:
    """No stage is longer than model.max_length, which so becomes that of the longest. Stages
    without a length have that of `treinamento`."""
    ours = [f"multi_run.stages.{number}.max_length" for number in range(len(places))]
    lengths = {place: reading.get(x) for place, x in zip(places, ours, strict=True)}
    own = {place: length for place, length in lengths.items() if length is not None}
    if not own:
        return {}
    longest = max(own, key=lambda place: own[place])
    origin: Keys = (*longest, "max_seq_length")
    if len(own) == len(places):
        reading.put("model.max_length", own[longest], origin)
        return {"max_seq_length": _said_by_stage}
    at = ("treinamento", "max_seq_length")
    value = reading.value(*at)
    usual = 0 if blank(value) else reading.coerced(at, value, whole)
    if not usual:
        reading.put("model.max_length", own[longest], origin)
        return {"max_seq_length": _as_the_longest}
    for place, field in zip(places, ours, strict=True):
        if place not in own:
            reading.put(field, usual, at)
    if usual >= own[longest]:
        reading.put("model.max_length", usual, at)
    else:
        reading.put("model.max_length", own[longest], origin)
    return {"max_seq_length": read_with_others}


def stage_table() -> Table:
    """The keys of a stage, but for those of the split."""
    return {
        "alias": _alias,
        "tipo": read_with_others,  # with lora.r
        "pace_epochs": _unless_zero(to("training.epochs", number_of)),
        "pace_epochs_max": unsupported("training.epochs is how many there are, no more"),
        "pace_loss": settled,
        "max_seq_length": _unless_zero(loop.max_length),
        "learning_rate": _unless_zero(to("training.learning_rate", number_of)),
        "batch_size": _unless_zero(loop.batch_size),
        "warmup_steps": to("training.warmup_steps", whole),
        "dataset_filtro": rows.filtered,
        "unfreeze_layers_from": unsupported("an adapter, or all weights, of every layer train"),
        "fusao": unsupported("say in multi_run.merge how stages are merged"),
    }


def _alias(reading: Reading, keys: Keys, value: Any) -> None:
    if blank(reading.value("modelo", "alias")):
        put_name(reading, keys, value)
    elif not blank(value):
        reading.note(keys, "has no say, since modelo.alias names the run")


def _no_longer(reading: Reading, keys: Keys, value: Any) -> None:
    if not blank(value):
        reading.note(keys, "has no say, since the stage ends at pace_loss or pace_epochs_max")


def _as_the_longest(reading: Reading, keys: Keys, value: Any) -> None:
    if not blank(value):
        reading.note(keys, "is 0: stages without a length take examples as long as the longest's")


def _said_by_stage(reading: Reading, keys: Keys, value: Any) -> None:
    if not blank(value):
        reading.note(keys, "has no say, since the stage has its own")


def _unless_zero(rule: Rule) -> Rule:
    """In a stage 0 stands for what `treinamento` says."""

    def inner(reading: Reading, keys: Keys, value: Any) -> None:
        if value == 0:
            reading.settle(keys)
        else:
            rule(reading, keys, value)

    return inner
