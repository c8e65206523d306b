"""The `multi_run` section of the config: several runs in a row, one adapter carried through."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trainer_core.config.fields import Auto, Count, Positive, Section, Text

# SLAO, its paper's ablations and one experiment under names of their own, and merges that others
# made (trainer_core/merging).
MergeName = Literal[
    "none",
    "slao",
    "slao-without-qr",
    "slao-from-merged",
    "slao-random",
    "slao-merge-a",
    "slao-keep-function",
    "linear",
    "svd",
    "ties",
    "dare-linear",
    "dare-ties",
]
Baseline = Literal["sequential", "joint"]
Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]


class StageSection(Section):
    """One stage of a curriculum. What is not given is as in `model` and `training`."""

    name: Text | None = Field(None, description="What it is called; its data's name if not given.")
    sources: Annotated[list[Count], Field(min_length=1)] | None = Field(
        None,
        description="Which sources of data.train it trains on, counted from 1; the one in its own "
        "place if not given.",
    )
    steps: Count | None = Field(None, description="Optimizer steps.")
    epochs: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        None, description="Passes over its data, instead of steps."
    )
    target_loss: Positive | None = Field(
        None,
        description="End it once the training loss, averaged over ten steps, is no higher; after "
        "its steps or epochs in any case.",
    )
    learning_rate: Rate | None = Field(None, description="Its peak learning rate.")
    warmup_steps: Annotated[int, Field(ge=0, le=2**31)] | None = Field(
        None, description="Steps over which its learning rate rises."
    )
    max_length: Annotated[int, Field(ge=8, le=2**24)] | None = Field(
        None,
        description="Longest example in tokens, no more than model.max_length; data.too_long says "
        "what becomes of others.",
    )

    @model_validator(mode="after")
    def _one_length(self) -> "StageSection":
        if self.steps is not None and self.epochs is not None:
            raise ValueError("set either steps or epochs, not both")
        return self


class MultiRunSection(Section):
    """Several runs in a row on parts of the data, one adapter carried through and merged."""

    runs: Count = Field(
        1,
        description="Cut the training data into so many shards, drawn by training.seed, and train "
        "on one after the other. 1: a single run on all of it, mixed.",
    )
    by_source: bool = Field(
        False, description="A run for each source of data.train, in order, instead of shards."
    )
    samples: Count | None = Field(
        None, description="At most so many rows in each shard; all rows are dealt out if not given."
    )
    stages: list[StageSection] = Field(
        [], description="A curriculum: a run for each stage, with settings of its own."
    )
    merge: Auto | MergeName = Field(
        "auto",
        description="How the adapter is merged after each run: slao, one of its ablations, linear, "
        "svd, ties, dare-linear, dare-ties; none: the next run goes on with it as it is. auto: "
        "none for stages, else slao.",
    )
    density: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="Share of the values that ties and dare keep."
    )
    replay: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="Share of each run's rows that are taken from the runs before."
    )
    replay_from: Literal["all", "recent", "random"] = Field(
        "all",
        description="Where they come from: as many from each run before, only from the last one, "
        "or drawn from all rows before.",
    )
    last_learning_rate: Rate | None = Field(
        None,
        description="Peak learning rate of the last run; those between fall evenly to it from "
        "training.learning_rate. The same for every run if not given.",
    )
    warmup: Literal["every", "first"] = Field(
        "every", description="Whether every run warms up anew, or only the first."
    )
    patience: Count | None = Field(
        None,
        description="End after so many runs that brought no lower loss on the general slice; "
        "never if not set.",
    )
    eval_rows: Annotated[int, Field(ge=0, le=2**20)] = Field(
        64,
        description="Rows held out of each shard before the first run (a tenth at most), and taken "
        "of validation, to measure what is forgotten; 0: nothing is measured.",
    )
    compare: list[Baseline] = Field(
        [],
        description="Train baselines of as many steps too, to compare with: sequential (no merge), "
        "joint (all rows mixed).",
    )

    @model_validator(mode="after")
    def _one_way(self) -> "MultiRunSection":
        if sum((self.runs > 1 and not self.by_source, self.by_source, bool(self.stages))) > 1:
            raise ValueError("set one of runs, by_source and stages")
        return self

    @property
    def several(self) -> bool:
        """Whether there is more than the one run that every config is."""
        return self.runs > 1 or self.by_source or bool(self.stages)
