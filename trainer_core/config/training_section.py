"""The `training` section of the config: the loop."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trainer_core.config.fields import Auto, Count, Section, Text
from trainer_core.config.model_section import Dtype

Optimizer = Literal[
    "adamw",
    "adamw_8bit",
    "paged_adamw",
    "paged_adamw_8bit",
    "adafactor",
    "lion",
    "lion_8bit",
    "sgd",
]
Packing = Literal["off", "pack", "padding-free"]
Checkpointing = Literal["off", "on", "unsloth"]


class TrainingSection(Section):
    """The training loop. A step is an optimizer step."""

    method: Literal["lora", "full"] = Field(
        "lora", description="What is trained: an adapter, or all weights of the model."
    )
    steps: Auto | Count = Field(
        "auto", description="Optimizer steps; auto: as many as the epochs take."
    )
    epochs: Auto | Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        "auto",
        description="Passes over the data, instead of steps. auto: 3 for fewer than a million "
        "trained tokens, 2 for fewer than ten, else 1.",
    )
    batch_size: Auto | Count = Field(
        "auto", description="Examples in a micro-batch, on each device. auto: what fits in memory."
    )
    gradient_accumulation: Auto | Count = Field(
        "auto", description="Micro-batches in one step. auto: what makes up effective_batch."
    )
    effective_batch: Auto | Count = Field(
        "auto",
        description="Examples in one step: batch_size x gradient_accumulation. auto: 16, 8 for "
        "fewer than 1,000 examples, 32 for more than 50,000, and never so many that fewer than "
        "100 steps are left.",
    )
    packing: Auto | Packing = Field(
        "auto",
        description="pack: several examples in one of max_length, none seeing another; "
        "padding-free: a micro-batch as one row without padding. auto: pack where examples are "
        "much shorter on average than the longest.",
    )
    learning_rate: Auto | Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = Field(
        "auto", description="Peak learning rate. auto: by the model's family, width and size."
    )
    scheduler: Literal["linear", "cosine", "constant", "polynomial", "inverse_sqrt"] = Field(
        "linear", description="How the learning rate falls after warmup."
    )
    warmup_steps: Auto | Annotated[int, Field(ge=0, le=2**31)] = Field(
        "auto", description="Steps over which the learning rate rises. auto: 5 %, at most 100."
    )
    weight_decay: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = Field(
        0.01, description="How fast weights that nothing holds up shrink."
    )
    max_grad_norm: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = Field(
        1.0, description="Gradients are clipped to this norm; 0: never."
    )
    optimizer: Auto | Optimizer = Field(
        "auto",
        description="8-bit ones keep their state in 8 bits, paged ones move it to RAM when the "
        "GPU is full. auto: adamw_8bit on a GPU, adamw on a CPU.",
    )
    precision: Auto | Dtype = Field(
        "auto",
        description="Number format in which the layers compute (autocast). auto: that of the "
        "weights.",
    )
    gradient_checkpointing: Auto | Checkpointing = Field(
        "auto",
        description="Compute activations again in the backward pass instead of keeping them: less "
        "memory, a third more time. unsloth: keep them in RAM. auto: only where memory asks for "
        "it.",
    )
    eval_steps: Auto | Count = Field(
        "auto", description="Steps between two validations. auto: a tenth of the run, at most 500."
    )
    save_steps: Auto | Count = Field(
        "auto", description="Steps between two checkpoints. auto: a fifth of the run, at most 200."
    )
    keep_checkpoints: Count = Field(
        2, description="How many checkpoints stay; the best is kept too."
    )
    remove_checkpoints: bool = Field(
        False, description="Remove all checkpoints of a run that finished; what it trained stays."
    )
    patience: Count | None = Field(
        None,
        description="Stop after this many validations without a better loss; never if not set.",
    )
    min_delta: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = Field(
        0.0, description="How much lower the loss must be to count as better, for patience."
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        3407, description="Seed of the data order, the adapter's start and dropout."
    )
    sample_prompts: list[Text] = Field(
        [], description="Prompts answered before and after training, to see the difference."
    )
    sample_steps: Auto | Count | None = Field(
        "auto",
        description="Steps between two rounds of answers to them while training goes on; null: "
        "none. auto: as eval_steps.",
    )
    sample_tokens: Annotated[int, Field(ge=1, le=4096)] = Field(
        48, description="Longest answer to a sample prompt, in tokens."
    )
    score_steps: Count | None = Field(
        None,
        description="Steps between two scorings: rows of validation are answered and compared with "
        "what is expected. Only when asked for, if not set.",
    )
    score_rows: Annotated[int, Field(ge=1, le=10_000)] = Field(
        20, description="Rows of validation that a scoring answers, spread evenly over them."
    )
    score_tokens: Annotated[int, Field(ge=1, le=4096)] = Field(
        128, description="Longest answer in a scoring, in tokens."
    )

    @model_validator(mode="after")
    def _one_length(self) -> "TrainingSection":
        if self.steps != "auto" and self.epochs not in ("auto", None):
            raise ValueError("set either steps or epochs, not both")
        return self

    @model_validator(mode="after")
    def _batch_adds_up(self) -> "TrainingSection":
        batch, accumulation, effective = (
            self.batch_size,
            self.gradient_accumulation,
            self.effective_batch,
        )
        if effective == "auto":
            return self
        if batch != "auto" and accumulation != "auto" and batch * accumulation != effective:
            raise ValueError(
                f"effective_batch is {effective}, but batch_size x gradient_accumulation is "
                f"{batch * accumulation}"
            )
        for part in (batch, accumulation):
            if part != "auto" and effective % part:
                raise ValueError(f"effective_batch {effective} is no multiple of {part}")
        return self
