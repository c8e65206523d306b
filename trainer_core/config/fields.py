"""What the sections of the schema are made of."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Auto = Literal["auto"]
Count = Annotated[int, Field(ge=1, le=2**31)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=4096)]


class Section(BaseModel):
    """A mapping of the YAML file. Unknown keys are mistakes, never ignored."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())
