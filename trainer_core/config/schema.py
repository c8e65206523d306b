"""The run config: every field once, with its default, its limits and what it is for.

`"auto"` means that planning decides and records why (see planning/plan.py).
"""

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from trainer_core.config.data_section import DataSection
from trainer_core.config.export_section import ExportSection
from trainer_core.config.fields import Section, Text
from trainer_core.config.model_section import NO_MODEL, LoraSection, ModelSection
from trainer_core.config.multi_run_section import MultiRunSection
from trainer_core.config.safety_section import SafetySection
from trainer_core.config.training_section import TrainingSection

__all__ = ["NO_MODEL", "RunConfig"]


class RunSection(Section):
    """What the run is called and where it is kept."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = Field(
        None, description="Name in the run's folder and in lists; the model's name if not given."
    )
    folder: Text | None = Field(
        None, description="The run folder, new or empty; ./runs/<date>-<time>-<name> if not given."
    )
    resume: Literal["auto", "never"] = Field(
        "auto",
        description="When the run folder holds this very run, not finished: go on with it from its "
        "newest checkpoint, or refuse.",
    )


TrackerName = Literal["tensorboard", "wandb", "trackio", "mlflow"]
TRACKERS: tuple[TrackerName, ...] = get_args(TrackerName)


class TrackingSection(Section):
    """Where metrics go besides the run folder."""

    to: list[TrackerName] = Field(
        [],
        description="Trackers that are told every step, each by a process of its own; their "
        "libraries must be installed.",
    )
    project: Text | None = Field(
        None,
        description="The project's name in the tracker (MLflow: the experiment's); the run's own "
        "name if not given, else the model's.",
    )


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

    preset: Text | list[Text] | None = Field(
        None,
        description="A shipped preset or recipe to start from (`backprop config presets` lists "
        "them), a YAML file of your own, or several: later ones win, and this file over all.",
    )
    run: RunSection = Field(default_factory=RunSection)
    model: ModelSection
    lora: LoraSection = Field(default_factory=LoraSection)
    data: DataSection
    training: TrainingSection = Field(default_factory=TrainingSection)
    multi_run: MultiRunSection = Field(default_factory=MultiRunSection)
    safety: SafetySection = Field(default_factory=SafetySection)
    tracking: TrackingSection = Field(default_factory=TrackingSection)
    export: ExportSection = Field(default_factory=ExportSection)
    logging: LoggingSection = Field(default_factory=LoggingSection)

    @model_validator(mode="before")
    @classmethod
    def _nothing_below(cls, data: object) -> object:
        """A section's name with nothing below it is an empty section."""
        if not isinstance(data, dict):
            return data
        return {
            name: {} if value is None and name != "preset" else value
            for name, value in data.items()
        }
