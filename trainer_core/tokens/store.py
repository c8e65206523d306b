"""Every row of a dataset, encoded: made in one pass, kept in the cache, read without loading it."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trainer_core.data.problems import LISTED, UNUSABLE, Problem
from trainer_core.files import write_atomically
from trainer_core.tokens.columns import Array, Columns, ColumnWriter, open_columns
from trainer_core.tokens.encode_chunk import ROW_TYPES, TOKEN_TYPES, Encoded
from trainer_core.tokens.examples import Example

FORMAT = 2
# What the store adds to the columns of each chunk: where the tokens and spans of a row begin, and,
# two numbers a pair, the rows that say almost the same as an earlier one.
TYPES = {**ROW_TYPES, **TOKEN_TYPES, "first_id": "i8", "first_span": "i8", "near": "i8"}
# Columns, and the first row of each source, to pairs of rows that say almost the same: [pairs, 2].
FindNear = Callable[[Columns, list[int]], Array]
# 0 in the column `problem` says that there is none.
KINDS: tuple[str, ...] = ("", *UNUSABLE)


@dataclass
class Notes:
    """What does not fit into columns. `sources` holds the first row of each source, `entries` how
    long each column is."""

    entries: dict[str, int] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    row_ids: list[str] = field(default_factory=list)


class Store:
    """Rows by number. A row's length is 0 where it could not be an example."""

    def __init__(self, columns: Columns, notes: Notes) -> None:
        self.columns = columns
        self.notes = notes
        self.rows = len(columns["line"])

    @property
    def problems(self) -> list[Problem]:
        """The unusable rows, the first of each kind."""
        return self.notes.problems

    def counts(self) -> Counter[str]:
        """How many rows have each kind of problem."""
        numbers = np.bincount(self.columns["problem"], minlength=len(KINDS))
        return Counter({kind: int(n) for kind, n in zip(KINDS, numbers, strict=True) if kind and n})

    def where(self, row: int) -> str:
        """path:line"""
        path = self.notes.paths[int(self.columns["path"][row])]
        return f"{path}:{int(self.columns['line'][row])}"

    @property
    def near(self) -> Array:
        """Rows that say almost the same as an earlier one, each with that one: [pairs, 2]."""
        return self.columns["near"].reshape(-1, 2)

    def example(self, row: int, start: int = 0, stop: int | None = None) -> Example:
        """The row's example, or its tokens from `start` to before `stop`."""
        first = int(self.columns["first_id"][row])
        end = first + int(self.columns["length"][row])
        ids = np.asarray(self.columns["ids"][first:end][start:stop])
        spans = np.clip(self._spans(row) - start, 0, len(ids)).astype(np.int32)
        return Example(ids, spans[spans[:, 0] < spans[:, 1]], self.where(row))

    def trained_before(self, row: int, length: int) -> int:
        """How many of the row's first `length` tokens are trained."""
        spans = np.minimum(self._spans(row), length)
        return int((spans[:, 1] - spans[:, 0]).sum())

    def _spans(self, row: int) -> Array:
        """[spans, 2]"""
        first = int(self.columns["first_span"][row])
        end = first + int(self.columns["span_count"][row])
        return np.asarray(self.columns["spans"][2 * first : 2 * end]).reshape(-1, 2)


class StoreWriter:
    """Takes what the pass over the data yields, chunk by chunk."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._columns = ColumnWriter(TYPES, folder)
        self._notes = Notes()
        self._paths: dict[str, int] = {}
        self._listed: Counter[str] = Counter()
        self.rows = self._ids = self._spans = 0

    def begin_source(self) -> None:
        """What follows belongs to the next source."""
        self._notes.sources.append(self.rows)

    def add(self, encoded: Encoded) -> None:
        """Append a chunk. Raises OSError when the disk is full."""
        columns = encoded.columns
        numbers = [self._paths.setdefault(path, len(self._paths)) for path in encoded.paths]
        columns["path"] = np.array(numbers, dtype=np.uint32)[columns["path"]]
        columns["problem"] = np.zeros(encoded.rows, dtype=np.uint8)
        for problem in encoded.problems:
            columns["problem"][problem.row] = KINDS.index(problem.kind)
            self._list(problem)
        columns["first_id"] = self._ids + _places(columns["length"])
        columns["first_span"] = self._spans + _places(columns["span_count"])
        for name, values in columns.items():
            self._columns.append(name, values)
        self._notes.row_ids += encoded.row_ids
        self.rows += encoded.rows
        self._ids += len(columns["ids"])
        self._spans += len(columns["spans"]) // 2

    def finish(self, find_near: FindNear) -> Store:
        """Close it, find the rows that are almost the same, and give it to read."""
        self._notes.paths = list(self._paths)
        columns = self._columns.finish()
        self._columns.add(columns, "near", find_near(columns, self._notes.sources).reshape(-1))
        self._notes.entries = {name: len(column) for name, column in columns.items()}
        if self._folder is not None:
            # Last, so that a folder with notes is whole.
            write_atomically(self._folder / "notes.json", _dump(self._notes), durable=True)
        return Store(columns, self._notes)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._columns.discard()

    def _list(self, problem: Problem) -> None:
        self._listed[problem.kind] += 1
        if self._listed[problem.kind] <= LISTED:
            row = self.rows + problem.row
            self._notes.problems.append(
                Problem(problem.kind, problem.where, problem.message, row, problem.hint)
            )


def open_store(folder: Path) -> Store | None:
    """The store in `folder`, or None where there is no whole one."""
    try:
        notes = _load(json.loads((folder / "notes.json").read_text(encoding="utf-8")))
        columns = open_columns(TYPES, folder)
        whole = {name: len(column) for name, column in columns.items()} == notes.entries
        return Store(columns, notes) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _places(counts: Array) -> Array:
    """Where each of several pieces begins that follow one another."""
    return np.cumsum(counts, dtype=np.int64) - counts


def _dump(notes: Notes) -> bytes:
    problems = [[p.kind, p.where, p.message, p.row, p.hint] for p in notes.problems]
    data = {"format": FORMAT, **vars(notes), "problems": problems}
    return json.dumps(data, ensure_ascii=True).encode()


def _load(data: dict[str, Any]) -> Notes:
    if data["format"] != FORMAT:
        raise ValueError("another version")
    problems = [Problem(*entry) for entry in data["problems"]]
    return Notes(data["entries"], data["paths"], data["sources"], problems, data["row_ids"])
