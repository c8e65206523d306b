"""The one pass over the data: every row of every source read, checked and encoded, or taken from
the cache."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import tokenizers

from trainer_core.config.data_section import DataSection
from trainer_core.data.duplicates import near_duplicates
from trainer_core.data.minhash import MINIMA
from trainer_core.data.opening import OpenSource
from trainer_core.data.problems import Problem
from trainer_core.data.sources.files import content_fingerprint
from trainer_core.data.sources.several import FirstRows
from trainer_core.errors import no_room
from trainer_core.tokens import cache
from trainer_core.tokens.columns import Array, Columns
from trainer_core.tokens.encode_chunk import EncoderSetup, ReadingSetup
from trainer_core.tokens.examples import Encoder
from trainer_core.tokens.pool import Work, encode_all
from trainer_core.tokens.store import Store, StoreWriter
from trainer_core.tokens.texts import Texts
from trainer_core.tokens.tokenizer import Tokenizer

# (rows done, seconds since the start)
Progress = Callable[[int, float], None]


def quiet(rows: int, seconds: float) -> None:
    """Says nothing of the progress."""


def encode_data(
    data: DataSection,
    sources: list[OpenSource],
    setup: EncoderSetup | None,
    encoder: Encoder | None,
    *,
    workers: int = 1,
    progress: Progress = quiet,
) -> tuple[Store, bool]:
    """All rows, encoded, and whether they came from the cache. `encoder` is what `setup` makes;
    `progress` may raise to end it.

    Raises UserError for the first unusable row if `data.problems` is strict.
    """
    secret = any(source.given.encryption is not None for source in sources)
    key = cache.cache_key(_facts(data, sources, setup, encoder))
    store = None if secret else cache.find(key)
    if store is None:
        folder = cache.new_folder(key) if not secret else None
        made = _encode(data, sources, setup, encoder, folder, workers, progress)
        return cache.keep(folder, key) if folder is not None else made, False
    _refuse(data, store.problems)
    return store, True


def _encode(
    data: DataSection,
    sources: list[OpenSource],
    setup: EncoderSetup | None,
    encoder: Encoder | None,
    folder: Path | None,
    workers: int,
    progress: Progress,
) -> Store:
    began = time.monotonic()
    left = data.limit
    writer = None
    try:
        writer = StoreWriter(folder)
        for source in sources:
            writer.begin_source()
            before = writer.rows
            limit = left if source.split == "train" else None
            for encoded in encode_all(_work(data, source, limit), setup, encoder, workers):
                _refuse(data, encoded.problems)
                writer.add(encoded)
                progress(writer.rows, time.monotonic() - began)
            if left is not None and source.split == "train":
                left -= writer.rows - before
        return writer.finish(partial(_near, sources))
    except BaseException as error:
        if writer is not None:
            writer.discard()
        if isinstance(error, OSError):
            raise no_room(error, cache.cache_folder()) from None
        raise


def _near(sources: list[OpenSource], columns: Columns, firsts: list[int]) -> Array:
    """Pairs of usable rows that say almost the same."""
    texts = Texts(sources, firsts)
    minima = columns["minima"].reshape(-1, MINIMA)
    usable = np.flatnonzero(columns["problem"] == 0)
    return near_duplicates(minima, columns["text"], usable, texts.compared)


def _work(data: DataSection, source: OpenSource, limit: int | None) -> Iterator[Work]:
    reading = ReadingSetup(source.detection, data.split.group, data.split.stratify, data.split.id)
    for count, chunk in source.source.chunks():
        if limit is not None:
            if limit <= 0:
                return
            chunk = chunk if count <= limit else FirstRows(chunk, limit)
            limit -= count
        yield chunk, reading


def _refuse(data: DataSection, problems: list[Problem]) -> None:
    if data.problems == "strict" and problems:
        raise problems[0].error()


def _facts(
    data: DataSection,
    sources: list[OpenSource],
    setup: EncoderSetup | None,
    encoder: Encoder | None,
) -> dict[str, object]:
    """All that decides what the pass yields."""
    return {
        "sources": [
            [
                source.split,  # a limit is for train's rows only
                source.source.name,
                source.source.fingerprint(),
                asdict(source.detection),
            ]
            for source in sources
        ],
        "limit": data.limit,
        "columns": [data.split.group, data.split.stratify, data.split.id],
        "tokenizer": _tokenizer_facts(setup, encoder.tokenizer) if setup and encoder else None,
    }


def _tokenizer_facts(setup: EncoderSetup, tokenizer: Tokenizer) -> list[object]:
    return [
        tokenizers.__version__,
        content_fingerprint(str(setup.base / "tokenizer.json")),
        tokenizer.template,
        [tokenizer.bos, tokenizer.eos, tokenizer.stop_ids],
        setup.train_on,
    ]
