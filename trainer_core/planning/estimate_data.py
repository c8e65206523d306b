"""A guess at what the data holds, from its first rows, without a tokenizer.

For the moment before anything is tokenised: always marked as estimated.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer_core.config.data_section import DataSection
from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.formats import reader
from trainer_core.data.opening import OpenSource, open_sources
from trainer_core.data.problems import RowError
from trainer_core.data.rows import rows_of
from trainer_core.data.sources import listed_files
from trainer_core.planning.early import DataStats, LengthFacts
from trainer_core.planning.facts import DataFacts

LOOKED_AT = 200
# English text in the vocabularies of today's models; and what a template writes around a turn.
CHARACTERS_A_TOKEN = 4.0
TOKENS_A_TURN = 6
PATIENCE_SECONDS = 0.3


def guess_data(data: DataSection) -> DataStats | None:
    """Look at the first rows of each source that lies here; None if there is none.

    Raises UserError where a source cannot be read.
    """
    here = data.model_copy(
        update={
            name: [source for source in getattr(data, name) if source.hub is None]
            for name in ("train", "validation", "test")
        }
    )
    if not here.train:
        return None
    sources = open_sources(here)
    looked = [_look(source) for source in sources]
    train = [part for part, source in zip(looked, sources, strict=True) if source.split == "train"]
    other = [part for part, source in zip(looked, sources, strict=True) if source.split != "train"]
    rows = sum(part.rows for part in train)
    lengths = sorted(length for part in train for length in part.lengths)
    if not lengths or not rows:
        return None
    mean = sum(lengths) / len(lengths)
    trained = sum(sum(part.trained) for part in train) / len(lengths)
    held_out = sum(part.rows for part in other) if other else min(200, round(rows * 0.05))
    kept = rows if other else rows - held_out
    kept = min(kept, data.limit or kept)
    return DataStats(
        DataFacts(
            train=kept,
            validation=held_out,
            longest=lengths[-1],
            tokens=round(mean * kept),
            trained_tokens=round(trained * kept),
            examples=kept,
            estimated=True,
        ),
        LengthFacts(p99=lengths[int(len(lengths) * 0.99)], mean=mean, longest=lengths[-1]),
    )


@dataclass(frozen=True)
class _Looked:
    rows: int
    lengths: list[int]
    trained: list[int]


def _look(source: OpenSource) -> _Looked:
    read = reader(source.detection)
    lengths, trained, sizes = [], [], []
    for row in rows_of(source.source, LOOKED_AT):
        sizes.append(len(str(row.data)))
        try:
            talk = read(row)
        except RowError:
            continue
        lengths.append(_tokens(talk, talk.turns))
        trained.append(_tokens(talk, [turn for turn in talk.turns if turn.role == "assistant"]))
    return _Looked(_rows(source, sizes), lengths, trained)


def _tokens(talk: Conversation, turns: Iterable[Turn]) -> int:
    """About how many tokens the turns have, or the text where there are none."""
    if talk.text is not None:
        return max(1, round(len(talk.text) / CHARACTERS_A_TOKEN))
    return sum(round(len(turn.content) / CHARACTERS_A_TOKEN) + TOKENS_A_TURN for turn in turns)


def _rows(source: OpenSource, sizes: Sequence[int]) -> int:
    """How many rows there are: counted as far as a moment allows, else by the size of the files."""
    deadline, counted = time.monotonic() + PATIENCE_SECONDS, 0
    for count, _ in source.source.chunks():
        counted += count
        if time.monotonic() > deadline:
            break
    else:
        return counted
    written = sum(Path(path).stat().st_size for path in listed_files(source.given))
    return max(counted, round(written / max(1.0, sum(sizes) / max(1, len(sizes)))))
