"""Every source of a config, opened, and what its first rows say of the rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from trainer_core.config.data_section import DataSection, DataSource, SplitName
from trainer_core.data.checks import check
from trainer_core.data.conversations import Conversation
from trainer_core.data.formats import LOOKED_AT, Detection, detect, reader
from trainer_core.data.problems import RowError
from trainer_core.data.rows import Source, rows_of
from trainer_core.data.sources import open_source
from trainer_core.errors import UserError


@dataclass(frozen=True)
class OpenSource:
    """A source of the config, opened; its rows belong to `split`, or are shared out if it is
    train's."""

    given: DataSource
    source: Source
    split: SplitName
    detection: Detection


def open_sources(data: DataSection) -> list[OpenSource]:
    """Open every source and find out its format. Raises UserError."""
    named: list[tuple[SplitName, DataSource]] = [
        *(("train", source) for source in data.train),
        *(("validation", source) for source in data.validation),
        *(("test", source) for source in data.test),
    ]
    opened = []
    for split, given in named:
        source = open_source(given)
        detection = detect(rows_of(source, LOOKED_AT), given.columns)
        opened.append(OpenSource(given, source, split, detection))
    return opened


def first_conversations(data: DataSection, source: OpenSource) -> Iterator[Conversation]:
    """What the first rows say: a quick look before anything starts. Raises UserError as the whole
    would for those rows."""
    read = reader(source.detection)
    for row in islice(rows_of(source.source), LOOKED_AT):
        try:
            conversation = read(row)
            check(conversation)
        except RowError as error:
            if data.problems == "strict":
                raise error.problem().error() from None
            continue
        yield conversation


def no_rows(sources: list[OpenSource]) -> UserError:
    """What to say of data without a row."""
    names = ", ".join(source.given.name for source in sources[:3])
    return UserError(f"{names} has no rows", hint="A row is a line of JSON or of a table.")
