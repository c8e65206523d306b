"""Scores of answers are what their papers say, and mean something for what is scored."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer_core.scoring.answers import SCORES, fitting, score_answers
from trainer_core.scoring.bootstrap import mean

GSM8K = "She has 3 + 4 = 7.\n#### 7"
# Texts, and the number that they give as their result.
NUMBERS = [
    ("72", "72"),
    ("72.", "72"),
    ("72 apples", "72"),
    ("-3", "-3"),
    ("It is (-3).", "-3"),
    ("5 - 3", "3"),
    ("2019-2020", "2020"),
    ("B-52", "52"),
    (".5", "0.5"),
    ("-.5", "-0.5"),
    ("0.50", "0.5"),
    ("1.2.3", "3"),
    ("$1,000", "1000"),
    ("1,234.5", "1234.5"),
    ("1,234,567", "1234567"),
    ("12,5", "5"),
    ("1234,567", "567"),
    ("1,2345", "2345"),
    ("1, 2 and 3,000", "3000"),
    ("#### 7 (that is 70 %)", "7"),
    ("#### 1\nNo: #### 2, not 3", "2"),
    ("3 + 4 = 7 #### none", None),
    ("none", None),
    ("", None),
]


@pytest.mark.parametrize(
    ("name", "answer", "expected", "score"),
    [
        ("exact", " A hen. ", "A hen.", 1),
        ("exact", "a hen.", "A hen.", 0),
        ("normalized", "the hen", "A hen!", 1),
        ("normalized", "hens", "hen", 0),
        ("contains", "It is a big, red hen, I think.", "the red hen", 1),
        ("contains", "chickens", "hen", 0),
        ("contains", "anything", "", 0),
        ("token_f1", "the cat sat", "a cat sat down", 2 * 2 / (2 + 3)),
        ("token_f1", "", "", 1),
        ("token_f1", "x", "", 0),
        # Lin 2004's example: "police killed the gunman" against two candidates.
        ("rouge_l", "police kill the gunman", "police killed the gunman", 3 / 4),
        ("rouge_l", "the gunman kill police", "police killed the gunman", 2 / 4),
        ("rouge_l", "", "a", 0),
        ("numeric", "So it is 1,234.", "#### 1234", 1),
        ("numeric", "7.0", GSM8K, 1),
        ("numeric", "3 and then 8", GSM8K, 0),
        ("numeric", "none", GSM8K, 0),
        ("json", '{"a": 1}', '{"b": 2}', 1),
        ("json", "[1]", '{"b": 2}', 0),
        ("json", "{'a': 1}", '{"b": 2}', 0),
        ("chrf", "same", "same", 1),
        ("chrf", "abc", "xyz", 0),
    ],
)
def test_a_score(name: str, answer: str, expected: str, score: float) -> None:
    assert SCORES[name](answer, expected) == pytest.approx(score)


@pytest.mark.parametrize(("text", "number"), NUMBERS)
def test_the_number_of_an_answer(text: str, number: str | None) -> None:
    readings = {right for _, right in NUMBERS if right} | {"-2020", "-52", "125", "1234567.5"}
    same = {one for one in readings if SCORES["numeric"](text, one)}
    assert same == ({number} if number else set())


def test_rouge_l_is_the_longest_common_subsequence() -> None:
    def slow(left: list[str], right: list[str]) -> int:
        if not left or not right:
            return 0
        if left[0] == right[0]:
            return 1 + slow(left[1:], right[1:])
        return max(slow(left[1:], right), slow(left, right[1:]))

    words = st.lists(st.sampled_from("abc"), min_size=1, max_size=7)

    @given(words, words)
    def same(left: list[str], right: list[str]) -> None:
        expected = 2 * slow(left, right) / (len(left) + len(right))
        assert SCORES["rouge_l"](" ".join(left), " ".join(right)) == pytest.approx(expected)

    same()


@given(st.text(max_size=40), st.text(max_size=40))
def test_every_score_is_between_0_and_1_and_1_for_the_same(answer: str, expected: str) -> None:
    for name, score in SCORES.items():
        assert 0 <= score(answer, expected) <= 1
        if name in {"exact", "normalized", "token_f1", "rouge_l"}:
            assert score(expected, expected) == 1


def test_only_what_means_something_is_scored() -> None:
    always = ["exact", "normalized", "contains", "token_f1", "rouge_l", "chrf"]
    assert fitting(["A bird.", "7"]) == always
    assert fitting([GSM8K] * 9 + ["eight"]) == [*always, "numeric"]
    assert fitting([json.dumps({"a": 1}), "[]"]) == [*always, "json"]


def test_a_mean_has_an_interval_that_holds_it_as_often_as_promised() -> None:
    generator, held = np.random.default_rng(3), 0
    for trial in range(200):
        low_high = mean((generator.random(100) < 0.3).astype(float), resamples=300, seed=trial)
        held += low_high.low <= 0.3 <= low_high.high
    assert 0.88 < held / 200 < 0.99
    found = score_answers(["a", "b"], ["a", "c"])["exact"]
    assert (found.low, found.value, found.high) == (0.0, 0.5, 1.0)
