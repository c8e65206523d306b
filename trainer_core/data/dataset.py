"""The conversations of a run, split into train and validation."""

import random
from dataclasses import dataclass
from pathlib import Path

from trainer_core.config.schema import DataSection
from trainer_core.data.conversations import (
    Conversation,
    Format,
    detect,
    read_conversations,
)
from trainer_core.data.rows import read_rows
from trainer_core.errors import UserError

MAX_VALIDATION_ROWS = 200


@dataclass(frozen=True)
class Dataset:
    """Conversations by split, in the order of the files."""

    form: Format
    train: list[Conversation]
    validation: list[Conversation]


def load_dataset(data: DataSection, seed: int) -> Dataset:
    """Read and split the data. Raises UserError naming the file and line at fault."""
    form, rows = _read(Path(data.train), data.limit)
    if data.validation is not None:
        _, validation = _read(Path(data.validation), None)
        return Dataset(form, rows, validation)
    held_back = _held_back(len(rows), data.validation_fraction, seed)
    return Dataset(
        form,
        [row for index, row in enumerate(rows) if index not in held_back],
        [row for index, row in enumerate(rows) if index in held_back],
    )


def check_data(data: DataSection, rows: int = 100) -> tuple[Format, bool]:
    """A quick look before anything starts: the format of the first rows of every file, and whether
    all of them are pairs. Raises UserError as `load_dataset` would for those rows."""
    form, first = _read(Path(data.train), rows)
    if data.validation is not None:
        _, more = _read(Path(data.validation), rows)
        first = [*first, *more]
    return form, all(conversation.pair for conversation in first)


def _read(path: Path, limit: int | None) -> tuple[Format, list[Conversation]]:
    try:
        form = detect(read_rows(path, 1))
    except UserError as error:
        if error.where:
            raise
        raise UserError(error.message, where=str(path), hint=error.hint) from None
    return form, list(read_conversations(read_rows(path, limit), form))


def _held_back(rows: int, fraction: float, seed: int) -> frozenset[int]:
    """Indices of the validation rows: drawn by seed, at least one and never all."""
    if fraction == 0 or rows < 2:
        return frozenset()
    count = min(max(1, round(rows * fraction)), MAX_VALIDATION_ROWS, rows - 1)
    return frozenset(random.Random(seed).sample(range(rows), count))  # noqa: S311 - a split, not a secret
