"""JSON lines that survive a crash: one O_APPEND write a line; readers ignore a torn one."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 1 << 16


class AppendFile:
    """An append-only file of lines. Whoever opens it cuts an unterminated tail first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self.size = cut_torn_tail(self._descriptor)

    def append(self, line: bytes) -> None:
        """Write one line. Raises OSError (a full disk, say) and leaves no part of it behind."""
        data = line + b"\n"
        try:
            written = os.write(self._descriptor, data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def close(self) -> None:
        """Close the file; what was appended stays."""
        os.close(self._descriptor)


def cut_torn_tail(descriptor: int) -> int:
    """Cut what follows the last newline; returns the size in bytes that is left."""
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        os.lseek(descriptor, start, os.SEEK_SET)  # appends go to the end all the same
        newline = os.read(descriptor, end - start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
    return end


def last_line(path: Path) -> bytes | None:
    """The last complete line, or None where there is none."""
    tail = list(tail_lines(path, _BLOCK))
    if tail:
        return tail[-1]
    lines = [line for line, _ in read_lines(path)]  # a single line longer than a block
    return lines[-1] if lines else None


def tail_lines(path: Path, size: int) -> Iterator[bytes]:
    """The complete lines within the last `size` bytes."""
    try:
        start = max(0, path.stat().st_size - size)
    except OSError:
        return
    with path.open("rb") as file:
        file.seek(start)
        if start:
            file.readline()  # most likely the rest of a line that began earlier
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def read_lines(path: Path, offset: int = 0) -> Iterator[tuple[bytes, int]]:
    """Complete lines from byte `offset` on, each with the offset at which the next one starts."""
    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return
    with file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield line[:-1], offset
