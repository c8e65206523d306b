"""Tensors into a file one after the other: a few blocks are read and encoded while another is
written, so memory holds those few, however large a tensor is."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import gguf
import torch

from trainer_core.export.gguf.encoding import Bytes, encode
from trainer_core.export.gguf.tensors import Written
from trainer_core.export.model import Tell
from trainer_core.export.settling import Settling

# Bytes of numbers in 32 bits that are worked on at once: larger ones are slower, as they leave the
# processor's cache, and take memory (several times this while quantised, and for each block ahead).
BLOCK = 4 << 20
_AHEAD = 4
# The writer looks at a dtype only where it is not told the type.
_NO_DTYPE: Any = None


def write_tensors(
    writer: gguf.GGUFWriter, tensors: list[Written], target: Path, tell: Tell
) -> None:
    """Write the metadata that `writer` was given to `target`, and the tensors after it; `tell`
    hears what was read of the model. What it raises, and what the disk does, comes through. The
    file is on disk when this returns."""
    for tensor in tensors:
        writer.add_tensor_info(
            tensor.name, tensor.shape, _NO_DTYPE, tensor.size, raw_dtype=tensor.kind
        )
    # One thread a block: torch's own would only wait for each other.
    threads = torch.get_num_threads()
    workers = min(_AHEAD, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        writer.write_header_to_file(target)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        assert writer.fout is not None  # noqa: S101 - the header was written to it
        with Settling(writer.fout[0]) as disk:
            blocks = _Counted(_encoded(pool, tensors), tell, disk)
            for tensor in tensors:
                writer.write_tensor_data(_Stream(tensor, blocks))
            disk.finish()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
        writer.close()


@dataclass(frozen=True)
class _Block:
    data: Bytes
    read: int
    last: bool  # of its tensor


class _Counted:
    """Blocks, and what was read for them."""

    def __init__(self, blocks: Iterator[_Block], tell: Tell, disk: Settling) -> None:
        self._blocks = blocks
        self._tell = tell
        self._disk = disk
        self._done = 0

    def write(self, file: BinaryIO) -> bool:
        """Write the next one. Whether it was the last of its tensor."""
        block = next(self._blocks)
        file.write(block.data.data)
        self._disk.wrote(block.data.nbytes)
        self._done += block.read
        self._tell(self._done)
        return block.last


@dataclass(frozen=True)
class _Stream:
    """A tensor as the writer takes it: something with a size that goes into a file."""

    tensor: Written
    blocks: _Counted

    @property
    def nbytes(self) -> int:
        return self.tensor.size

    def tofile(self, file: BinaryIO) -> None:
        while not self.blocks.write(file):
            pass


def _encoded(pool: ThreadPoolExecutor, tensors: list[Written]) -> Iterator[_Block]:
    waiting: deque[Future[_Block]] = deque()
    for tensor in tensors:
        for start, stop in tensor.blocks(BLOCK):
            waiting.append(pool.submit(_encode, tensor, start, stop))
            if len(waiting) == _AHEAD:
                yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _encode(tensor: Written, start: int, stop: int) -> _Block:
    data = encode(tensor.rows(start, stop), tensor.kind)
    return _Block(data, (stop - start) * tensor.read, stop == tensor.count)
