"""What can be wrong with a row: found by kind, listed by row, counted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from trainer_core.errors import UserError

if TYPE_CHECKING:  # the process that renders templates starts in a third of the time without it
    from trainer_core.config.data_section import DataSection

# What a row cannot be used with; `data.problems` says whether it stops or is dropped.
Unusable = Literal[
    "unreadable",  # not JSON, a missing cell, a token that does not decrypt
    "another format",  # other keys or types than the file's first rows
    "no answer",  # no turn of the assistant
    "empty turn",
    "role order",  # two turns of one side, an answer first, a system turn in the middle
    "garbage",  # control bytes, lone surrogates, text that was decoded wrongly
    "refused by the template",
    "nothing trained",  # no token of an answer is left to learn
    "too short",
]
# What has a setting of its own in the data section.
Choosable = Literal["too long", "duplicate", "near duplicate", "in two splits"]
Kind = Literal[Unusable, Choosable]
UNUSABLE: tuple[str, ...] = get_args(Unusable)
# The setting of each, and what takes the place of `strict` where all is only looked at.
SETTINGS = {"too long": "too_long", "duplicate": "duplicates", "near duplicate": "near_duplicates"}
_MILDER = {"too_long": "drop", "duplicates": "keep", "near_duplicates": "keep"}

LISTED = 1000


def stops(data: "DataSection", kind: str) -> bool:
    """Whether a problem of this kind stops a run."""
    if kind in UNUSABLE:
        return data.problems == "strict"
    return kind in SETTINGS and getattr(data, SETTINGS[kind]) == "strict"


def only_looked_at(data: "DataSection") -> "DataSection":
    """The section with nothing in it that stops: for a look, which lists every problem."""
    milder = {name: way for name, way in _MILDER.items() if getattr(data, name) == "strict"}
    return data.model_copy(update={**milder, "problems": "skip"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One row's problem. `row` counts from 0 over all sources; `where` is path:line."""

    kind: Kind
    where: str
    message: str
    row: int = -1
    hint: str = ""

    def error(self) -> UserError:
        """As the sentence that stops a run."""
        hint = self.hint or "Mend the row, or drop such rows: data.problems: skip."
        return UserError(self.message, where=self.where, hint=hint)


class RowError(UserError):
    """A row that cannot be used; raised by whatever reads or checks it."""

    def __init__(self, kind: Kind, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message, where=where, hint=hint)
        self.kind: Kind = kind

    def problem(self, row: int = -1) -> Problem:
        """As an entry of the list."""
        return Problem(self.kind, self.where, self.message, row, self.hint)
