"""Parquet: by row group, each read where it is needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from trainer_core.data.rows import MOST_ROW, Chunk, Row
from trainer_core.data.sources.content import Content, reading
from trainer_core.data.sources.files import content_fingerprint, opened
from trainer_core.data.sources.several import in_chunks
from trainer_core.errors import UserError

PART = 4096
# Rows that are turned into Python's values together.
AT_ONCE = 32


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file that lies here."""

    name: str

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Parts of row groups; only the file's end is read to find them."""
        with _open(self.name) as file:
            first = 1
            for group in range(file.metadata.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                for start in range(0, rows, PART):
                    count = min(PART, rows - start)
                    yield count, RowGroupPart(self.name, group, start, count, first)
                    first += count

    def fingerprint(self) -> str:
        """Of the file's bytes."""
        return content_fingerprint(self.name)


@dataclass(frozen=True)
class ParquetStream:
    """Parquet that lies elsewhere, to be read from its beginning."""

    content: Content

    @property
    def name(self) -> str:
        """Its path."""
        return self.content.path

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Some rows at a time."""
        return in_chunks(self._rows())

    def fingerprint(self) -> str:
        """Of its bytes."""
        return self.content.fingerprint()

    def _rows(self) -> Iterator[Row]:
        with reading(self.content) as stream, _parquet(stream, self.name) as file:
            groups = range(file.metadata.num_row_groups)
            batches = (batch for group in groups for batch in _batches(file, group, self.name))
            rows = (cells for batch in batches for cells in batch.to_pylist())
            for number, cells in enumerate(rows, 1):
                yield Row(self.name, number, cells)


@dataclass(frozen=True, slots=True)
class RowGroupPart:
    """Some rows of a row group; `first` is the number of the first in the file, from 1."""

    path: str
    group: int
    start: int
    count: int
    first: int

    def rows(self) -> Iterator[Row]:
        """Read them. Raises UserError where the file is damaged."""
        with _open(self.path) as file:
            at = 0
            for batch in _batches(file, self.group, self.path):
                if at + len(batch) > self.start and at < self.start + self.count:
                    low, high = max(self.start - at, 0), self.start + self.count - at
                    for index, cells in enumerate(batch.slice(low, high - low).to_pylist()):
                        yield Row(self.path, self.first + at + low + index - self.start, cells)
                at += len(batch)
                if at >= self.start + self.count:
                    return


def _open(path: str) -> Any:
    return _parquet(opened(path), path)


def _parquet(file: IO[bytes], path: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        plain = pq.ParquetFile(file)
        columns = [plain.schema.column(number) for number in range(len(plain.schema))]
        texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
        # A text that stands once in the file and in a million rows shall be in memory once.
        return pq.ParquetFile(file, metadata=plain.metadata, read_dictionary=texts)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from None


def _batches(file: Any, group: int, path: str) -> Iterator[Any]:
    import pyarrow as pa

    try:
        _require_no_giant(file.metadata.row_group(group), path)
        for batch in file.iter_batches(batch_size=PART, row_groups=[group]):
            for start in range(0, len(batch), AT_ONCE):
                yield batch.slice(start, AT_ONCE)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from None


def _require_no_giant(group: Any, path: str) -> None:
    """Raise UserError where rows are said to be larger than any that can be used."""
    for number in range(group.num_columns):
        column = group.column(number)
        if column.total_uncompressed_size > MOST_ROW * max(1, group.num_rows):
            raise UserError(
                f"{path} has rows of more than {MOST_ROW >> 20} MiB in {column.path_in_schema}",
                hint="Cut such documents into several rows.",
            )


def _damaged(path: str, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200]
    return UserError(
        f"{path} is not a Parquet file, or is damaged: {reason.rstrip('.')}",
        hint="Fetch it again.",
    )
