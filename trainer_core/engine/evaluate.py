"""How well a model knows data that it is asked about: read and masked as in its training."""

from pathlib import Path
from typing import Any

from trainer_core.config.data_section import DataSection, SplitName, SplitSection
from trainer_core.config.paths import make_paths_absolute
from trainer_core.config.schema import RunConfig
from trainer_core.engine.scores import score_examples
from trainer_core.engine.usable import UsableModel
from trainer_core.errors import UserError
from trainer_core.planning.facts import model_facts
from trainer_core.runs.control import Control
from trainer_core.scoring.slices import SliceScores
from trainer_core.tokens.encode_chunk import EncoderSetup
from trainer_core.tokens.encode_data import Progress, quiet
from trainer_core.tokens.limit import PlannedLimit
from trainer_core.tokens.pool import usable_workers
from trainer_core.tokens.prepare import Examples, Prepared, prepare

BATCH = 8


def prepared_like(
    config: RunConfig,
    base: Path,
    data: DataSection,
    *,
    own_process: bool = True,
    progress: Progress = quiet,
) -> Prepared:
    """All of `data`, as a training of `config` would have it. `base` is the folder with the
    tokenizer. Raises UserError for data that cannot be used, and whatever `progress` raises."""
    model = config.model
    return prepare(
        data,
        EncoderSetup(base, model.template, model.base, data.train_on),
        PlannedLimit(config, model_facts(base)),
        config.training.seed,
        workers=usable_workers(data.workers, own_process=own_process),
        progress=progress,
    )


def all_of(rows: Any, config: RunConfig) -> DataSection:
    """All of `rows` (a source, or a list of them) as one split, train, read as the data of the
    training was."""
    named = {"data": {"train": rows}}
    make_paths_absolute(named, Path())
    sources = DataSection(train=named["data"]["train"]).train
    return config.data.model_copy(
        update={
            "train": sources,
            "validation": [],
            "test": [],
            "limit": None,
            "split": SplitSection(fractions={"train": 1.0}),
        }
    )


def examples_to_score(
    config: RunConfig,
    usable: UsableModel,
    data: DataSection,
    split: SplitName,
    *,
    own_process: bool = True,
) -> Examples:
    """The examples of a split of `data`, as a training of `config` would have them.

    Raises UserError for data that cannot be used, and where the split has no rows.
    """
    prepared = prepared_like(config, usable.base, data, own_process=own_process)
    examples = prepared.splits[split]
    if not len(examples):
        there = ", ".join(name for name, rows in prepared.splits.items() if len(rows))
        raise UserError(f"{data.name} has no rows for {split}", hint=f"There are: {there}.")
    return examples


def evaluate(
    usable: UsableModel, examples: Examples, config: RunConfig, control: Control | None = None
) -> SliceScores:
    """Every example as the model knows it. Raises StoppedError if the user ends it meanwhile."""
    size = config.training.batch_size
    return score_examples(
        usable.model,
        examples,
        usable.encoder.tokenizer.pad_id,
        BATCH if size == "auto" else size,
        control,
    )
