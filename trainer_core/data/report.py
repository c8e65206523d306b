"""What is known of a dataset after all of it was read: for the report and for the screen."""

from typing import Literal

from pydantic import BaseModel

from trainer_core.config.data_section import SplitName


class FoundProblem(BaseModel):
    """One row with a problem. `row` counts from 0 over the rows as read."""

    kind: str
    where: str
    row: int
    message: str


class SourceReport(BaseModel):
    """One source: what it was taken for, and why."""

    name: str
    format: str
    why: str
    rows: int


class Lengths(BaseModel):
    """Tokens an example, before anything is cut. `histogram` counts examples in equal bins from 0
    to `max`."""

    p50: int = 0
    p95: int = 0
    p99: int = 0
    max: int = 0
    mean: float = 0.0
    histogram: list[int] = []


class SplitReport(BaseModel):
    """One split as it will be used."""

    name: SplitName
    rows: int = 0
    examples: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    lengths: Lengths = Lengths()
    # Over model.max_length: how many rows, tokens and tokens of answers were beyond it.
    too_long: int = 0
    tokens_lost: int = 0
    trained_tokens_lost: int = 0


class DataReport(BaseModel):
    """All of it. `model` is whose tokenizer counted; without one, everything that is counted in
    tokens is 0."""

    format: int = 1
    model: str | None = None
    sources: list[SourceReport] = []
    splits: list[SplitReport] = []
    rows: int = 0
    max_length: int | None = None
    too_long: Literal["drop", "truncate", "split", "strict"] = "drop"
    counts: dict[str, int] = {}
    # What becomes of the rows with a kind of problem: dropped, kept, cut off… In a report of a look
    # only, `stops` are the kinds that were found and would stop a run.
    fates: dict[str, str] = {}
    stops: list[str] = []
    problems: list[FoundProblem] = []
    seconds: float = 0.0
    cached: bool = False

    def split(self, name: SplitName) -> SplitReport:
        """The report of a split; empty where there is none."""
        return next((split for split in self.splits if split.name == name), SplitReport(name=name))
