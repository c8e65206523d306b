"""Where a value of a config came from."""

from typing import Literal

from pydantic import BaseModel


class Origin(BaseModel):
    """The user, a preset, planning (auto), or the schema's default. `why` is for people."""

    origin: Literal["user", "preset", "auto", "default"]
    why: str
