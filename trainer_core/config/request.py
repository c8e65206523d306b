"""What a job beside training is asked to do, made from names and values."""

from pathlib import PurePath
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, ValidationError

from trainer_core.errors import UserError

# A run or a path as it is typed; a blank one is refused with the others (runs/folder.py).
Source = Annotated[str, Field(max_length=4096)]


class Request(BaseModel):
    """One job; its folder holds it as request.json."""

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """A request from names and values, paths among them; None leaves one to its default. Raises
        UserError naming what is wrong."""
        given = {
            name: str(value) if isinstance(value, PurePath) else value
            for name, value in given.items()
            if value is not None
        }
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0]) if first["loc"] else "the request"
            wrong = first["input"] if isinstance(first["input"], str) else given.get(field)
            raise UserError(f"{field} {wrong}: {first['msg']}") from None
