"""A chunk of rows to arrays: all the work on a row, in one place, in whichever process.

What comes back is small and flat, so that it is cheap to send between processes.
"""

from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trainer_core.data.checks import check
from trainer_core.data.conversations import Conversation
from trainer_core.data.duplicates import fingerprints, text_hashes, text_of
from trainer_core.data.formats import Detection, reader
from trainer_core.data.minhash import MINIMA
from trainer_core.data.problems import Problem, RowError
from trainer_core.data.rows import Chunk, Row
from trainer_core.data.splits import key_hash
from trainer_core.tokens.columns import Array
from trainer_core.tokens.examples import Encoder, Example
from trainer_core.tokens.tokenizer import load_tokenizer

# One entry a row; `ids` and `spans` have as many a row as `length` and `span_count` say.
ROW_TYPES = {
    "line": "i8",
    "path": "u4",
    "length": "u4",
    "trained": "u4",
    "span_count": "u4",
    "problem": "u1",
    "text": "u8",
    "prompt": "u8",
    "minima": "u1",  # twenty a row
    "group": "u8",
    "stratum": "u8",
}
TOKEN_TYPES = {"ids": "i4", "spans": "i4"}


@dataclass(frozen=True)
class EncoderSetup:
    """How to make the encoder, in any process."""

    base: Path
    template: str | None
    name: str
    train_on: Literal["all", "last"]

    def make(self) -> Encoder:
        """Load the tokenizer. Raises UserError."""
        return Encoder(load_tokenizer(self.base, self.template), self.name, self.train_on)


@dataclass(frozen=True)
class ReadingSetup:
    """How the rows of one source are read."""

    detection: Detection
    group: str | None = None
    stratify: str | None = None
    id: str | None = None


@dataclass
class Encoded:
    """The rows of one chunk: the columns of `ROW_TYPES` and `TOKEN_TYPES`, and what was wrong.

    `paths` are the files that the column `path` counts; `row_ids` only where a split file names
    the rows.
    """

    rows: int
    columns: dict[str, Array]
    paths: list[str]
    problems: list[Problem] = field(default_factory=list)
    row_ids: list[str] = field(default_factory=list)


def encode_chunk(chunk: Chunk, reading: ReadingSetup, encoder: Encoder | None) -> Encoded:
    """Read, check and encode every row of a chunk. Problems count rows within the chunk."""
    read = reader(reading.detection)
    rows: list[Row] = []
    problems: list[Problem] = []
    conversations: list[Conversation] = []
    places: list[int] = []
    for index, row in enumerate(chunk.rows()):
        rows.append(row)
        try:
            conversation = read(row)
            check(conversation)
        except RowError as error:
            problems.append(error.problem(index))
            continue
        conversations.append(conversation)
        places.append(index)
    columns = _row_columns(rows, reading)
    paths = sorted({row.path for row in rows})
    number = {path: index for index, path in enumerate(paths)}
    columns["path"] = np.array([number[row.path] for row in rows], dtype=np.uint32)
    _add_texts(columns, conversations, places)
    if encoder is not None:
        _add_tokens(columns, encoder.encode_batch(conversations), places, problems)
    return Encoded(len(rows), columns, paths, problems, _row_ids(rows, reading.id))


def _row_columns(rows: list[Row], reading: ReadingSetup) -> dict[str, Array]:
    columns = {
        name: np.zeros(len(rows) * (MINIMA if name == "minima" else 1), dtype=kind)
        for name, kind in ROW_TYPES.items()
        if name not in {"problem", "path"}
    }
    columns["line"] = np.array([row.line for row in rows], dtype=np.int64)
    for name, column in (("group", reading.group), ("stratum", reading.stratify)):
        if column is not None:
            columns[name] = np.array(
                [key_hash(row.data.get(column)) for row in rows], dtype=np.uint64
            )
    columns["ids"] = columns["spans"] = np.empty(0, np.int32)
    return columns


def _row_ids(rows: list[Row], column: str | None) -> list[str]:
    if column is None:
        return []
    return [_id_text(row.data.get(column), row) for row in rows]


def _id_text(value: Any, row: Row) -> str:
    text = str(value).strip() if isinstance(value, str | int) else row.where
    return text.encode("utf-8", "replace").decode()


def _add_texts(
    columns: dict[str, Array], conversations: list[Conversation], places: list[int]
) -> None:
    """What the rows say, as hashes by which they are compared."""
    if not conversations:
        return
    said = fingerprints([text_of(conversation) for conversation in conversations])
    asked = text_hashes([_prompt(conversation) for conversation in conversations])
    columns["text"][places] = said.hashes
    columns["minima"].reshape(-1, MINIMA)[places] = said.minima
    columns["prompt"][places] = asked


def _prompt(conversation: Conversation) -> bytes:
    """What stands before the first answer; of a text all of it."""
    turns = takewhile(lambda turn: turn.role != "assistant", conversation.turns)
    return text_of(Conversation(conversation.where, tuple(turns), text=conversation.text))


def _add_tokens(
    columns: dict[str, Array],
    encoded: list[Example | RowError],
    places: list[int],
    problems: list[Problem],
) -> None:
    ids, spans = [], []
    for index, example in zip(places, encoded, strict=True):
        if isinstance(example, RowError):
            problems.append(example.problem(index))
            continue
        columns["length"][index] = len(example.ids)
        columns["trained"][index] = example.trained_tokens
        columns["span_count"][index] = len(example.spans)
        ids.append(example.ids)
        spans.append(example.spans.reshape(-1))
        if not example.trained_tokens:
            problems.append(
                Problem("nothing trained", example.where, "no token of it would be trained", index)
            )
    if ids:
        columns["ids"], columns["spans"] = np.concatenate(ids), np.concatenate(spans)
