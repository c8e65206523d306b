"""What can be asked of a dataset, and the answers, as they travel."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from trainer_core.config.data_section import SplitName
from trainer_core.data.conversations import Turn
from trainer_core.data.report import DataReport
from trainer_core.data.sources.jsonl import LineRange
from trainer_core.data.sources.parquet import RowGroupPart

Index = Annotated[int, Field(ge=0)]


class AskReport(BaseModel):
    """What is known of all of it; answered with an Overview as soon as it is known."""

    about: Literal["report"] = "report"


class AskRow(BaseModel):
    """A row of a split; answered with a RowView."""

    about: Literal["row"] = "row"
    split: SplitName
    index: Index


class AskPlace(BaseModel):
    """A row by its number over the rows as read; answered with a RowView of where it is. Before all
    rows were read, `chunk` and the row's `index` in it save finding it from the beginning."""

    about: Literal["place"] = "place"
    row: Index
    chunk: LineRange | RowGroupPart | None = None
    index: Index = 0


class AskSearch(BaseModel):
    """The first row from `start` on that holds `text`; answered with a Found."""

    about: Literal["search"] = "search"
    split: SplitName
    text: str
    start: Index = 0


class AskPrompt(BaseModel):
    """What a row of a split asks; of what is not trained on, if no split is named. Answered with a
    RowPrompt. `index` counts the rows in use, round and round."""

    about: Literal["prompt"] = "prompt"
    split: SplitName | None = None
    index: int = 0


class Overview(BaseModel):
    """The report, and how many rows of each split can be viewed."""

    report: DataReport
    rows: dict[SplitName, int]


class Found(BaseModel):
    """Where a search ended; None where nothing holds the text."""

    index: int | None


class RowPrompt(BaseModel):
    """The turns before the last answer of a row, and that answer. `rows` are in use in the split,
    and this is the one at `index`, from 0."""

    split: SplitName
    index: int
    rows: int
    where: str
    turns: list[Turn]
    tools: list[Mapping[str, Any]] = []
    expected: str


AnyQuestion = AskReport | AskRow | AskPlace | AskSearch | AskPrompt
_QUESTION: TypeAdapter[AnyQuestion] = TypeAdapter(
    Annotated[AnyQuestion, Field(discriminator="about")]
)


def parse_question(about: dict[str, Any]) -> AnyQuestion:
    """A question as it came. Raises ValueError."""
    return _QUESTION.validate_python(about)
