"""What every event has."""

import time

from pydantic import BaseModel, ConfigDict, Field


class BaseEvent(BaseModel):
    """Its number in events.jsonl (0: not written), and when it was said."""

    # Unknown fields of a newer version are ignored, so an older dashboard can follow a newer run.
    # NaN and infinity travel as strings, because JSON has no word for them.
    model_config = ConfigDict(extra="ignore", ser_json_inf_nan="strings", protected_namespaces=())

    n: int = 0
    time: float = Field(default_factory=time.time)
