"""The first rows of a dataset on the hub: streamed once, no further than they go, and kept as
JSONL, so that they can be read again in any order without the hub."""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import platformdirs

from trainer_core.data.rows import Row, rows_of
from trainer_core.data.sources.content import Content, decompressed
from trainer_core.errors import no_room

# What is asked of the hub at once.
BLOCK = 1 << 20


class RemoteError(Exception):
    """What the hub's client raised, which is no fault of the file's: its cause says what."""


def first_rows(dataset: str, commit: str, files: list[str], limit: int) -> str:
    """The path of a JSONL file with the first `limit` rows of `files`.

    Raises UserError, RemoteError, and BackpropError where there is no room for them.
    """
    facts = json.dumps([dataset, commit, files, limit])
    name = f"{dataset.replace('/', '--')}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.jsonl"
    kept = platformdirs.user_cache_path("backprop", appauthor=False) / "hub" / name
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        _stream(dataset, commit, files, limit, kept)
    return str(kept)


def _stream(dataset: str, commit: str, files: list[str], limit: int, target: Path) -> None:
    from trainer_core.data.sources.kinds import source_of

    contents = (_content(dataset, commit, file) for file in files)
    sources = (source_of(content, in_memory=True) for content in contents)
    rows = islice(chain.from_iterable(rows_of(source) for source in sources), limit)
    part = target.with_suffix(f".{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as lines:
            lines.writelines(_line(row) + "\n" for row in rows)
        part.replace(target)
    except OSError as error:
        raise no_room(error, target.parent) from None
    finally:
        part.unlink(missing_ok=True)


def _content(dataset: str, commit: str, file: str) -> Content:
    def open_remote() -> IO[bytes]:
        from huggingface_hub import HfFileSystem

        path = f"datasets/{dataset}@{commit}/{file}"
        with _its_own_errors():
            remote: IO[Any] = HfFileSystem().open(path, "rb", block_size=BLOCK)
        return decompressed(io.BufferedReader(_Remote(remote), BLOCK), file)

    return Content(f"{dataset}/{file}", open_remote, lambda: commit)


@contextmanager
def _its_own_errors() -> Iterator[None]:
    """Many of the client's errors are OSErrors, which whoever reads a file takes for its own."""
    from httpx import HTTPError

    try:
        yield
    except (OSError, ValueError, HTTPError) as error:
        raise RemoteError from error


class _Remote(io.RawIOBase):
    """A file on the hub as Python's own readers want it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _its_own_errors():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _line(row: Row) -> str:
    """A row as it was; one that could not be read stays one that cannot."""
    if row.problem is not None:
        return row.problem.message
    return json.dumps(row.data, default=str)
