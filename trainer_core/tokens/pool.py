"""Chunks encoded in order: the first in this process, the rest, if there are more, in several."""

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import wait

from trainer_core.data.rows import Chunk
from trainer_core.errors import BackpropError
from trainer_core.tokens.encode_chunk import Encoded, EncoderSetup, ReadingSetup, encode_chunk
from trainer_core.tokens.examples import Encoder

Work = tuple[Chunk, ReadingSetup]

# Starting processes takes longer than this many chunks do.
HEAD = 6
# Chunks under way for each process: enough to keep it busy, few enough to hold.
AHEAD = 3


def encode_all(
    work: Iterator[Work], setup: EncoderSetup | None, encoder: Encoder | None, workers: int
) -> Iterator[Encoded]:
    """Encode `work`, in its order. `encoder` is what `setup` makes, for this process; both are None
    where no model is known. `workers` = 1 stays in this process, where the tokenizer's own threads
    are used.
    """
    for chunk, reading in islice(work, HEAD if workers > 1 else None):
        yield encode_chunk(chunk, reading, encoder)
    first = next(work, None)
    if first is not None:
        yield from _in_processes(first, work, setup, workers)


def usable_workers(wish: int | None, *, own_process: bool) -> int:
    """How many processes to use. One where the program around us is not ours to start again (a
    person's own script would run once more in each), and on Windows, where starting is slow."""
    if not own_process or sys.platform == "win32":
        return 1
    if wish is not None:
        return wish
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _in_processes(
    first: Work, work: Iterator[Work], setup: EncoderSetup | None, workers: int
) -> Iterator[Encoded]:
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start, initargs=(setup,)
    )
    under_way: deque[Future[Encoded]] = deque([pool.submit(_encode, *first)])
    try:
        while under_way:
            while len(under_way) < workers * AHEAD and (item := next(work, None)) is not None:
                under_way.append(pool.submit(_encode, *item))
            yield under_way.popleft().result()
    except BrokenProcessPool:
        raise BackpropError(
            "a tokenizing process died, most likely for want of memory",
            hint="Use fewer: data.workers: 1.",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_encoder: Encoder | None = None


def _start(setup: EncoderSetup | None) -> None:
    global _encoder
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one process a core already
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=[parent.sentinel], daemon=True).start()
    _encoder = setup.make() if setup is not None else None


def _end_with(parent: int) -> None:
    """A killed parent tells nobody; without this its processes would wait for ever."""
    wait([parent])
    os._exit(1)


def _encode(chunk: Chunk, reading: ReadingSetup) -> Encoded:
    return encode_chunk(chunk, reading, _encoder)
