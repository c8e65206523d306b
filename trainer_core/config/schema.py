"""The run config: every field once, with its default, its limits and what it is for.

`"auto"` means that planning decides and records why (see planning/plan.py).
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from trainer_core.config.data_section import DataSection
from trainer_core.config.fields import Auto, Count, Fraction, Positive, Section, Text

# In place of a model's name, for a look at rows that needs none.
NO_MODEL = "(none)"


class RunSection(Section):
    """What the run is called."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = Field(
        None, description="Name in the run's folder and in lists; the model's name if not given."
    )


class ModelSection(Section):
    """Which base model, and how it is loaded."""

    base: Text = Field(description="A folder with a model, or its name on the Hugging Face hub.")
    backend: Auto | Literal["unsloth", "transformers"] = Field(
        "auto", description="Who trains: Unsloth where it is installed, else transformers + PEFT."
    )
    dtype: Auto | Literal["float32", "bfloat16", "float16"] = Field(
        "auto", description="Number format of the weights while training."
    )
    max_length: Auto | Annotated[int, Field(ge=8, le=2**24)] = Field(
        "auto", description="Longest example in tokens; data.too_long says what becomes of others."
    )
    template: Text | None = Field(
        None,
        description="Chat template: a Jinja file, or a family (alpaca, chatml, deepseek, gemma, "
        "llama-3, mistral, phi-3, phi-4, zephyr); the model's own if not given.",
    )


class LoraSection(Section):
    """The low-rank adapter that is trained."""

    rank: Annotated[int, Field(ge=1, le=4096)] = Field(16, description="Rank of the adapter.")
    alpha: Positive = Field(32.0, description="Scale of the adapter; applied as alpha / rank.")
    dropout: Fraction = Field(0.0, description="Dropout on the adapter's input.")
    targets: Literal["all-linear"] | Annotated[list[Text], Field(min_length=1)] = Field(
        "all-linear", description="Which modules get an adapter: all linear layers, or their names."
    )


class TrainingSection(Section):
    """The training loop."""

    steps: Count | None = Field(None, description="Optimizer steps; instead of epochs.")
    epochs: Positive | None = Field(None, description="Passes over the data (1 if neither is set).")
    batch_size: Count = Field(2, description="Examples in a micro-batch, on each device.")
    gradient_accumulation: Count = Field(
        4, description="Micro-batches in one optimizer step (effective batch = this x batch_size)."
    )
    packing: Literal["off", "pack", "padding-free"] = Field(
        "off",
        description="pack: several examples in one of max_length, none seeing another; "
        "padding-free: a micro-batch as one row without padding.",
    )
    learning_rate: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = Field(
        2e-4, description="Peak learning rate."
    )
    scheduler: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="How the learning rate falls after warmup."
    )
    warmup_steps: Auto | Annotated[int, Field(ge=0, le=2**31)] = Field(
        "auto", description="Steps over which the learning rate rises."
    )
    weight_decay: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = Field(
        0.01, description="AdamW's weight decay."
    )
    max_grad_norm: Positive = Field(1.0, description="Gradients are clipped to this norm.")
    eval_steps: Auto | Count = Field("auto", description="Steps between two validations.")
    save_steps: Auto | Count = Field("auto", description="Steps between two checkpoints.")
    keep_checkpoints: Count = Field(
        2, description="How many checkpoints stay; the best is kept too."
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        3407, description="Seed of the data order, the adapter's start and dropout."
    )
    sample_prompts: list[Text] = Field(
        [], description="Prompts answered before and after training, to see the difference."
    )
    sample_tokens: Annotated[int, Field(ge=1, le=4096)] = Field(
        48, description="Longest answer to a sample prompt, in tokens."
    )

    @model_validator(mode="after")
    def _steps_or_epochs(self) -> "TrainingSection":
        if self.steps is not None and self.epochs is not None:
            raise ValueError("set either steps or epochs, not both")
        return self


class LoggingSection(Section):
    """What is written down while a run goes on."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level of the log lines that become events."
    )
    hardware_seconds: Annotated[float, Field(ge=0.2, le=3600, allow_inf_nan=False)] = Field(
        2.0, description="Seconds between two hardware samples."
    )

    @field_validator("level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


class RunConfig(Section):
    """A whole run."""

    run: RunSection = Field(default_factory=RunSection)
    model: ModelSection
    lora: LoraSection = Field(default_factory=LoraSection)
    data: DataSection
    training: TrainingSection = Field(default_factory=TrainingSection)
    logging: LoggingSection = Field(default_factory=LoggingSection)
