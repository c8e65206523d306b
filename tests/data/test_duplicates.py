"""Rows that say the same as an earlier one are found, those that say almost the same too."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.duplicates import (
    COMPARED,
    NEIGHBOURS,
    THRESHOLD,
    exact_duplicates,
    fingerprints,
    jaccard,
    near_duplicates,
    text_of,
)
from trainer_core.data.minhash import PIECE, minima_of


def words(seed: int, count: int = 150) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 9))) for _ in range(count)]


def random_bytes(count: int) -> bytes:
    return random.Random(count).randbytes(count)


def changed(text: list[str], place: int) -> list[str]:
    return [*text[:place], "another", *text[place + 1 :]]


def said(*texts: list[str]) -> list[bytes]:
    return [" ".join(text).encode() for text in texts]


def near(texts: Sequence[bytes]) -> dict[int, int]:
    prints = fingerprints(texts)
    every = np.arange(len(texts))
    found = near_duplicates(prints.minima, prints.hashes, every, texts.__getitem__)
    return dict(found.tolist())


def talk(*contents: str, system: str = "") -> Conversation:
    turns = [Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(contents)]
    return Conversation("x:1", tuple([Turn("system", system), *turns] if system else turns))


def test_what_a_row_says_is_without_system_space_and_case() -> None:
    assert text_of(talk("Hello  there?", "HI.\n")) == text_of(talk("hello there?", " Hi."))
    assert text_of(talk("Hello?", "Hi.", system="Brief.")) == text_of(talk("Hello?", "Hi."))
    assert text_of(Conversation("x:1", text="Once  upon")) == b"once upon"
    assert text_of(talk("Hello?", "Hi.")) != text_of(talk("Hello?", "Ho."))


def test_calls_of_tools_are_part_of_what_a_row_says() -> None:
    def calling(number: int) -> Conversation:
        extra = {"tool_calls": [{"function": {"name": "add", "arguments": {"a": number}}}]}
        return replace(talk("1+2?"), turns=(Turn("user", "1+2?"), Turn("assistant", "", extra)))

    assert text_of(calling(1)) != text_of(calling(2))


def test_a_very_long_row_is_told_apart_by_its_end() -> None:
    long = "word " * 600_000
    one, other = text_of(talk(long + "a", "Hi.")), text_of(talk(long + "b", "Hi."))
    assert one != other
    assert len(one) < 2_000_000


@given(st.lists(st.integers(0, 5)))
def test_an_exact_duplicate_names_the_first_of_its_kind(numbers: list[int]) -> None:
    expected = [
        [place, numbers.index(number)]
        for place, number in enumerate(numbers)
        if number in numbers[:place]
    ]
    hashes = fingerprints([b"row %d" % number for number in numbers]).hashes
    assert exact_duplicates(hashes).tolist() == expected


# Of thousands of such pairs the hashes miss one: the same ones are tried each time.
@settings(max_examples=30, derandomize=True)
@given(st.integers(0, 10**6), st.integers(0, 149), st.integers(0, 19))
def test_one_word_changed_in_a_long_text_is_found(seed: int, place: int, of: int) -> None:
    texts = [words(seed + number) for number in range(20)]
    prints = said(*texts, changed(texts[of], place))
    assert jaccard(prints[of], prints[20]) >= THRESHOLD
    assert near(prints) == {20: of}


def test_nearly_every_pair_at_the_threshold_is_found() -> None:
    texts = [words(seed) for seed in range(500)]
    others = [[*text[:70], *words(10**6 + seed, 4), *text[74:]] for seed, text in enumerate(texts)]
    together = said(*texts, *others)
    pairs = [n for n in range(500) if jaccard(together[n], together[500 + n]) >= THRESHOLD]
    assert len(pairs) > 300
    found = near(together)
    assert sum(found.get(500 + n) == n for n in pairs) >= 0.95 * len(pairs)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), unique=True, max_size=30))
def test_what_is_found_is_as_near_as_is_said(texts: list[bytes]) -> None:
    for row, earlier in near(texts).items():
        assert earlier < row
        assert jaccard(texts[row], texts[earlier]) >= THRESHOLD


def test_different_and_short_texts_are_not_duplicates() -> None:
    assert near(said(*(words(seed) for seed in range(300)))) == {}
    assert near([b"%d" % number for number in range(300)]) == {}
    assert near([b"", b"a", b"b", b"ab"]) == {}
    assert near([]) == {}


def test_the_same_row_is_not_also_almost_the_same() -> None:
    text = words(1)
    assert near(said(text, text, changed(text, 3), text)) == {2: 0}


def counting(texts: Sequence[bytes]) -> tuple[list[int], Callable[[int], bytes]]:
    asked: list[int] = []

    def read(row: int) -> bytes:
        asked.append(row)
        return texts[row]

    return asked, read


def test_a_form_filled_in_over_and_over_costs_little() -> None:
    texts = said(*(words(seed, 20) for seed in range(2000)))
    asked, read = counting(texts)
    minima = np.ones((2000, 20), np.uint8)
    near_duplicates(minima, fingerprints(texts).hashes, np.arange(2000), read)
    assert len(asked) <= 2 * COMPARED


def test_many_of_almost_the_same_are_found_at_little_cost() -> None:
    text = words(1)
    texts = said(*(changed(text, place) for place in range(100)))
    asked, read = counting(texts)
    prints = fingerprints(texts)
    assert len(near_duplicates(prints.minima, prints.hashes, np.arange(100), read)) >= 95
    assert len(asked) < 100 * 4 * NEIGHBOURS


@pytest.mark.parametrize("length", [0, 1, 11, 12, 13, PIECE - 1, PIECE + 11, 3 * PIECE + 5])
def test_a_text_s_minima_are_its_own_whatever_stands_beside_it(length: int) -> None:
    text = random_bytes(length)
    alone = minima_of([text])[0]
    beside = minima_of([b"before", text, text, b"after"])
    assert (beside[1] == alone).all()
    assert (beside[2] == alone).all()


def test_the_least_shingle_counts_wherever_it_stands() -> None:
    text = random_bytes(2 * PIECE)
    assert (minima_of([text]) == minima_of([text + text])).mean() > 0.7


def test_jaccard_of_texts() -> None:
    assert jaccard(b"the same text", b"the same text") == 1
    assert jaccard(b"", b"") == 1
    assert jaccard(b"one text is here", b"nothing is shared") == 0
    # 12-byte shingles: of "abcdefghijklm" two, of its first twelve letters one.
    assert jaccard(b"abcdefghijklm", b"abcdefghijkl") == 0.5
