"""Rows that say the same as an earlier one, or almost.

The same: equal hashes of what they say. Almost: a Jaccard similarity of at least `THRESHOLD`
between their sets of shingles. Candidates share a band and most of their minima (see `minhash`),
and are compared as texts.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.minhash import BANDS, FUNCTIONS, U8, U64, minima_of, shingle_hashes
from trainer_core.data.nested import leaves

I64 = npt.NDArray[np.int64]

THRESHOLD = 0.9

# Of a longer row, the rest counts as one hash: memory is bounded whatever a row holds.
LONG = 1 << 20  # characters
# Among rows that share a band, each is put beside this many before it; the likeliest is compared.
NEIGHBOURS = 3
# Pairs with fewer of 20 minima in common are not compared. At 0.9, 99 % of pairs have them.
LIKELY = 15
# Where there are more candidates, the later ones are judged by their minima alone.
COMPARED, CERTAIN = 1_000, 18
# Pairs looked at together.
BLOCK = 1 << 17


@dataclass(frozen=True)
class Fingerprints:
    """Of n texts: `hashes` of the whole, uint64 [n]; `minima` of their shingles, uint8 [n, 20]."""

    hashes: U64
    minima: U8


def text_of(conversation: Conversation) -> bytes:
    """What a row says, without system turns; white space and case do not matter."""
    if conversation.text is not None:
        said = conversation.text
    else:
        said = "\n".join(_said(turn) for turn in conversation.turns if turn.role != "system")
    text = " ".join(said[:LONG].lower().split()).encode("utf-8", "surrogatepass")
    rest = said[LONG:].encode("utf-8", "surrogatepass")
    return text + _digest(rest) if rest else text


def _said(turn: Turn) -> str:
    """A turn's content, and the calls of tools that go with it."""
    if not turn.extra:
        return turn.content
    return "\n".join([turn.content, *map(str, leaves(turn.extra))])


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=8).digest()


def text_hashes(texts: Sequence[bytes]) -> U64:
    """A 64-bit hash of each text, the same in every process: [n]."""
    return np.frombuffer(b"".join(map(_digest, texts)), "<u8").astype(np.uint64)


def fingerprints(texts: Sequence[bytes]) -> Fingerprints:
    """Of a batch of texts, all at once."""
    return Fingerprints(text_hashes(texts), minima_of(texts))


def exact_duplicates(hashes: U64) -> I64:
    """Each index whose hash stands before it already, rising, with the first one's: [found, 2]."""
    order = np.argsort(hashes, kind="stable")
    values = hashes[order]
    repeated = np.flatnonzero(values[1:] == values[:-1]) + 1
    firsts = np.searchsorted(values, values[repeated])
    found = np.stack([order[repeated], order[firsts]], axis=1)
    return found[np.argsort(found[:, 0])]


def near_duplicates(minima: U8, hashes: U64, rows: I64, read: Callable[[int], bytes]) -> I64:
    """Those of `rows` (rising) that say almost the same as an earlier one, each with that one's
    number: [found, 2]. Exact duplicates are left out.

    `minima` is uint8 [n, 20], `hashes` uint64 [n]; `read` gives the text of a row, for the few that
    must be compared. However many rows share a band, work and memory grow with n only.
    """
    rows = np.delete(rows, exact_duplicates(hashes[rows])[:, 0])
    earlier, common = _likeliest(minima, rows)
    shingles = lru_cache(maxsize=2 * NEIGHBOURS)(lambda row: _shingle_set(read(row)))
    alike = common >= CERTAIN
    for place in np.flatnonzero(common >= LIKELY)[:COMPARED].tolist():
        one, other = shingles(int(rows[place])), shingles(int(earlier[place]))
        alike[place] = _similarity(one, other) >= THRESHOLD
    found = np.empty((np.count_nonzero(alike), 2), np.int64)
    found[:, 0] = rows[alike]
    found[:, 1] = earlier[alike]
    return found


def _likeliest(minima: U8, rows: I64) -> tuple[I64, U8]:
    """For each of `rows` the earlier one that shares a band and most minima with it, and how many
    it shares, 0 where there is none: [rows] each."""
    earlier = np.zeros(len(rows), np.int64)
    most = np.zeros(len(rows), np.uint8)
    for band in range(BANDS):
        key = np.zeros(len(rows), np.uint64)
        for function in range(band * FUNCTIONS, (band + 1) * FUNCTIONS):
            key <<= np.uint64(8)
            key |= minima[rows, function]
        order = np.argsort(key, kind="stable")
        key.sort()
        for distance in range(1, NEIGHBOURS + 1):
            shared = np.flatnonzero(key[distance:] == key[:-distance])
            for start in range(0, len(shared), BLOCK):
                places = shared[start : start + BLOCK]
                later, before = order[places + distance], rows[order[places]]
                common = np.count_nonzero(minima[rows[later]] == minima[before], axis=1)
                better = common > most[later]
                most[later[better]] = common[better]
                earlier[later[better]] = before[better]
    return earlier, most


def jaccard(one: bytes, other: bytes) -> float:
    """What two texts share: shingles in both, of shingles in either; 1 if they are the same."""
    return _similarity(_shingle_set(one), _shingle_set(other))


def _shingle_set(text: bytes) -> U64:
    """The hashes of a text's shingles, sorted, each once."""
    hashes = shingle_hashes(text)
    hashes.sort()
    return hashes[np.concatenate(([True], hashes[1:] != hashes[:-1]))]


def _similarity(one: U64, other: U64) -> float:
    together = np.concatenate((one, other))
    together.sort()
    both = np.count_nonzero(together[1:] == together[:-1])
    return both / (len(together) - both)
