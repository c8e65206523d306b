"""No text from outside can move the cursor, change colours or reverse a line."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer_core.text import clean, one_line

_PIECES = st.one_of(
    st.text(st.characters()),
    st.text(st.characters(max_codepoint=0x9F)),
    st.sampled_from(
        ["\x1b[31m", "\x1b]0;x\x07", "\x1b", "\x9b", "[2J", "\x1b\\", "\u202e", "\r\n"]
    ),
)
_ANYTHING = st.lists(_PIECES, max_size=12).map("".join)
_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _harmless(text: str, allowed: str) -> bool:
    return all(
        char in allowed
        or (unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"} and char not in _BIDI)
        for char in text
    )


@given(_ANYTHING)
def test_nothing_a_terminal_obeys_is_left(text: str) -> None:
    assert _harmless(clean(text), "\n")
    assert _harmless(one_line(text), "")
    clean(text).encode()  # and it can be written


@given(_ANYTHING)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(_ANYTHING, st.integers(1, 40))
def test_a_limit_holds(text: str, limit: int) -> None:
    cut = one_line(text, limit=limit)
    assert _harmless(cut, "")
    assert len(cut.replace("    ", "\t")) <= limit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;ZXZpbA==\x1b\\after", "after"),
        ("\x1bP1$r0m\x1b\\after", "after"),
        ("\x9b2Jgone", "gone"),
        ("\x1bc", ""),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("a\tb", "a    b"),
        ("user\u202egnp.exe", "user\ufffdgnp.exe"),
        ("bell\x07 null\x00", "bell\ufffd null\ufffd"),
        ("naïve 日本語 🎉", "naïve 日本語 🎉"),
    ],
)
def test_known_payloads(text: str, shown: str) -> None:
    assert clean(text) == shown
