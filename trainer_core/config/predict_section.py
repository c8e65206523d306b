"""The requests of jobs that ask a model: which, what, and how it answers."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from trainer_core.config.data_section import SplitName
from trainer_core.config.export_section import Checkpoint
from trainer_core.config.fields import Section, Text
from trainer_core.config.request import Request, Source
from trainer_core.config.sampling import Sampling
from trainer_core.errors import UserError

# Prompts that are answered at a time.
BATCH = 32


class ModelRequest(Section, Request):
    """Which model answers; all that a chat job is told. `source` is a run folder, a checkpoint, the
    folder of an adapter or of a whole model, a GGUF file, or a folder with ONNX."""

    source: Source
    # Of a run: best, last, step-N and so on, as for an export.
    checkpoint: Checkpoint | None = None
    # The base model instead of what was trained.
    base: bool = False


class PredictRequest(ModelRequest):
    """One prediction job. Asked are `prompt`, those of the file `prompts`, rows of the file `data`,
    or those of a `split` of the run's own data; if none is named, of test, if it has one, else of
    validation."""

    prompt: str | None = None
    prompts: Text | None = None
    data: Text | None = None
    split: SplitName | None = None
    # So many of the rows, spread evenly over them; all if not given.
    count: Annotated[int, Field(ge=1)] | None = None
    sampling: Sampling = Sampling()
    batch_size: Annotated[int, Field(ge=1, le=4096)] = BATCH

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        given = [
            name
            for name in ("prompt", "prompts", "data", "split")
            if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise UserError(
                f"{given[0]} and {given[1]} both say what is asked", hint="Name one of them."
            )
        return self
