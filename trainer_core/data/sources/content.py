"""The bytes of a file, decompressed as they are read."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from trainer_core.data.sources.files import content_fingerprint, opened
from trainer_core.errors import UserError

COMPRESSED = (".gz", ".zst")
# What reading a file raises that is damaged, or gone.
UNREADABLE = (EOFError, OSError, zlib.error)


@dataclass(frozen=True)
class Content:
    """The bytes of a file, to be read from the beginning as often as wanted."""

    path: str
    open: Callable[[], IO[bytes]]
    fingerprint: Callable[[], str]


def content_of(path: str) -> Content:
    """The bytes of a file, decompressed if it is compressed."""
    return Content(
        path, lambda: decompressed(opened(path), path), lambda: content_fingerprint(path)
    )


def decompressed(file: IO[bytes], name: str) -> IO[bytes]:
    """A file as it is read, decompressed if its name says that it is compressed."""
    if name.lower().endswith(".gz"):
        return io.BufferedReader(gzip.GzipFile(fileobj=file))
    if name.lower().endswith(".zst"):
        import pyarrow as pa

        stream = pa.CompressedInputStream(pa.PythonFile(file), "zstd")
        return io.BufferedReader(_Raw(stream))
    return file


class _Raw(io.RawIOBase):
    """What pyarrow decompresses, as Python's own readers want it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def not_readable(path: str, error: Exception) -> UserError:
    """What to say of a file that is damaged or not what it is called."""
    kind = "gzip" if path.lower().endswith(".gz") else "zstd"
    if path.lower().endswith(COMPRESSED):
        return UserError(f"{path} is not {kind}, or is cut off: {error}", hint="Fetch it again.")
    return UserError(f"the data file {path} cannot be read: {error}", hint="Fetch it again.")


@contextmanager
def reading(content: Content) -> Iterator[IO[bytes]]:
    """The bytes from the beginning. Raises UserError where they cannot be read to the end."""
    try:
        with content.open() as file:
            yield file
    except UNREADABLE as error:
        raise not_readable(content.path, error) from None
