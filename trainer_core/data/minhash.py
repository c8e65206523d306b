"""MinHash of texts, a batch at a time: what texts have in common, without comparing them.

The least value of a random function over a text's shingles is the same for two texts as often as
their Jaccard similarity says (Broder 1997, "On the resemblance and containment of documents").
Several of them together are a band (Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets",
chapter 3): with 4 bands of 5, a pair at 0.9 shares at least one in 1 - (1 - 0.9^5)^4 = 97 % of
cases, a pair at 0.5 in 12 %. Of each least value one byte is kept (Li and König 2010, "b-bit
minwise hashing"): 20 bytes a text.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

BANDS, FUNCTIONS = 4, 5  # functions a band
MINIMA = BANDS * FUNCTIONS
SHINGLE = 12  # bytes
# Texts are worked through in pieces of this size, which stay in the processor's cache.
PIECE = 1 << 15  # bytes

# The constants of the hash functions: the same in every process and version, since caches keep
# what they give. Multipliers are odd, so that nothing of what they multiply is lost.
_RANDOM = hashlib.shake_256(b"minhash").digest(256)
_LOW, _HIGH, _MIX = np.frombuffer(_RANDOM, "<u8", 3) | np.uint64(1)
_MULTIPLIERS = np.frombuffer(_RANDOM, "<u4", MINIMA, 24) | np.uint32(1)
_OFFSETS = np.frombuffer(_RANDOM, "<u4", MINIMA, 128)
_FOLD = np.uint32(0x9E3779B1)


def shingle_hashes(text: bytes) -> U64:
    """A hash of every `SHINGLE` bytes in a row, one for each place they begin at.

    A shorter text is filled up with zeros to one shingle.
    """
    text = text.ljust(SHINGLE, b"\0")
    count = len(text) - SHINGLE + 1
    # Views that overlap: the element at i begins at byte i.
    first: U64 = np.ndarray(count, "<u8", text, strides=(1,))
    last: U32 = np.ndarray(count, "<u4", text, offset=8, strides=(1,))
    hashes: U64 = first * _LOW
    hashes += last * _HIGH
    hashes ^= hashes >> np.uint64(29)
    hashes *= _MIX
    return hashes


def minima_of(texts: Sequence[bytes]) -> U8:
    """The low byte of the least value of each function, for n texts: [n, 20]."""
    if not texts:
        return np.empty((0, MINIMA), np.uint8)
    pieces: list[bytes] = []
    firsts = []
    for text in texts:
        firsts.append(len(pieces))
        ends = max(1, len(text) - SHINGLE + 1)
        pieces.extend(text[at : at + PIECE + SHINGLE - 1] for at in range(0, ends, PIECE))
    least = np.concatenate([_least(group) for group in _groups(pieces)], axis=1)
    least = np.minimum.reduceat(least, firsts, axis=1)
    # High bits are the better mixed ones of a product.
    minima: U8 = ((least ^ (least >> np.uint32(11))) * _FOLD >> np.uint32(24)).astype(np.uint8)
    return minima.T.copy()


def _groups(pieces: list[bytes]) -> Iterator[list[bytes]]:
    """Pieces together up to about the size of a long one."""
    group: list[bytes] = []
    size = 0
    for piece in pieces:
        group.append(piece.ljust(SHINGLE, b"\0"))
        size += len(piece)
        if size >= PIECE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _least(pieces: list[bytes]) -> U32:
    """The least value of each function over each piece's shingles: [20, pieces]."""
    hashes = (shingle_hashes(b"".join(pieces)) >> np.uint64(32)).astype(np.uint32)
    ends = np.cumsum([len(piece) for piece in pieces])
    # Between a piece's last shingle and the next piece are those that run from one into the other.
    bounds = np.empty(2 * len(pieces), np.int64)
    bounds[0] = 0
    bounds[2::2] = ends[:-1]
    bounds[1::2] = ends - SHINGLE + 1
    least = np.empty((len(_MULTIPLIERS), len(pieces)), np.uint32)
    values = np.empty_like(hashes)
    for function, (multiplier, offset) in enumerate(zip(_MULTIPLIERS, _OFFSETS, strict=True)):
        np.multiply(hashes, multiplier, out=values)
        values += offset
        least[function] = np.minimum.reduceat(values, bounds[:-1])[::2]
    return least
