"""What can be wrong with a row: found by kind, listed by row, counted."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, get_args

from trainer_core.errors import UserError

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

LISTED = 1000


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


@dataclass
class Problems:
    """All problems by number, and the first of each kind in full."""

    counts: Counter[str] = field(default_factory=Counter)
    listed: list[Problem] = field(default_factory=list)

    def add(self, problem: Problem) -> None:
        """Count a problem; list it while there are not too many of its kind."""
        self.counts[problem.kind] += 1
        if self.counts[problem.kind] <= LISTED:
            self.listed.append(problem)
