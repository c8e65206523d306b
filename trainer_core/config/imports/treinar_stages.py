"""treinar_unsloth: the stages of a training. A run has one; of several the first is taken."""

from collections.abc import Mapping
from typing import Any

from trainer_core.config.imports import treinar_folders as rows
from trainer_core.config.imports import treinar_training as loop
from trainer_core.config.imports.reading import Reading, Rule, Table
from trainer_core.config.imports.rules import (
    put_name,
    read_with_others,
    to,
    unsupported,
)
from trainer_core.config.imports.values import blank, number, whole
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
    """Set our fields from the stage at `at`; gives rules for the keys of `treinamento` that it
    takes the place of."""
    reading.follow({**rows.SPLIT, **stage_table()}, reading.value(*at), at)
    stages = reading.value(*at[:2])
    if isinstance(stages, list) and len(stages) > 1:
        reading.note(
            (*at[:2], 1),
            f"(of {len(stages) - 1} more) is not supported: a run trains one stage, the first "
            "here; for the next, set data.split.file, and lora.adapter to what the run before "
            "trained",
        )
    return {key: _said_by_stage for key, ours in _OF_STAGE.items() if reading.has(ours)}


def stage_table() -> Table:
    """The keys of a stage, but for those of the split."""
    return {
        "alias": _alias,
        "tipo": read_with_others,  # with lora.r
        "pace_epochs": _unless_zero(to("training.epochs", number)),
        "pace_epochs_max": unsupported("training.epochs is how many there are, no more"),
        "pace_loss": unsupported("a run does not end at a loss; training.patience can end it"),
        "max_seq_length": _unless_zero(loop.max_length),
        "learning_rate": _unless_zero(to("training.learning_rate", number)),
        "batch_size": _unless_zero(loop.batch_size),
        "warmup_steps": to("training.warmup_steps", whole),
        "dataset_filtro": rows.filtered,
        "unfreeze_layers_from": unsupported("an adapter, or all weights, of every layer train"),
        "fusao": unsupported("adapters are not merged between stages"),
    }


def _alias(reading: Reading, keys: Keys, value: Any) -> None:
    if blank(reading.value("modelo", "alias")):
        put_name(reading, keys, value)
    elif not blank(value):
        reading.note(keys, "has no say, since modelo.alias names the run")


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
