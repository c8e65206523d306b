"""How good an answer is beside the one that was expected: 0 to 1, higher is better."""

import json
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

import numpy as np

from trainer_core.runs.multi_run_events import Spread
from trainer_core.scoring.bootstrap import mean

Score = Callable[[str, str], float]
# A share of the expected answers that must be numbers, or JSON, for that score to mean something.
ENOUGH = 0.9
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# A minus follows no letter or digit ("2019-2020"); commas part groups of three digits, no others.
_NUMBER = re.compile(
    r"(?:(?<![^\W_])-)?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\w)\.\d+)"
)
# What GSM8K writes before the result, at the end of an answer.
_RESULT = "####"


def exact(answer: str, expected: str) -> float:
    """Whether they are the same, but for white space around them."""
    return float(answer.strip() == expected.strip())


def normalized(answer: str, expected: str) -> float:
    """Whether they are the same without case, punctuation and articles (Rajpurkar et al. 2016,
    "SQuAD": its exact match)."""
    return float(_plain(answer) == _plain(expected))


def contains(answer: str, expected: str) -> float:
    """Whether the answer has the expected words in it, in their order, normalised."""
    wanted = _plain(expected)
    return float(bool(wanted) and f" {wanted} " in f" {_plain(answer)} ")


def token_f1(answer: str, expected: str) -> float:
    """The harmonic mean of how many of its words are expected and how many of the expected are
    there, normalised (Rajpurkar et al. 2016: its F1)."""
    ours, theirs = _plain(answer).split(), _plain(expected).split()
    if not ours or not theirs:
        return float(ours == theirs)
    return _f1(sum((Counter(ours) & Counter(theirs)).values()), len(ours), len(theirs))


def rouge_l(answer: str, expected: str) -> float:
    """The same of the longest sequence of words that both have in this order (Lin 2004, "ROUGE":
    ROUGE-L, F1, lower case, without a stemmer)."""
    ours, theirs = (re.findall(r"\w+", text.lower()) for text in (answer, expected))
    if not ours or not theirs:
        return float(ours == theirs)
    return _f1(_longest_common(ours, theirs), len(ours), len(theirs))


def chrf(answer: str, expected: str) -> float:
    """How many n-grams of up to six characters they share (Popović 2015, "chrF"; as sacrebleu
    computes it, of 1 instead of 100)."""
    return float(_chrf().sentence_score(answer, [expected]).score) / 100


def numeric(answer: str, expected: str) -> float:
    """Whether the last number of each is the same; of GSM8K's answers the first behind ####."""
    ours, theirs = _result(answer), _result(expected)
    return float(ours is not None and ours == theirs)


def valid_json(answer: str, expected: str) -> float:
    """Whether the answer is JSON, of the kind (object, list…) that is expected."""
    ours, theirs = _json(answer), _json(expected)
    return float(ours is not None and type(ours) is type(theirs))


SCORES: dict[str, Score] = {
    "exact": exact,
    "normalized": normalized,
    "contains": contains,
    "token_f1": token_f1,
    "rouge_l": rouge_l,
    "chrf": chrf,
    "numeric": numeric,
    "json": valid_json,
}


def fitting(expected: Sequence[str]) -> list[str]:
    """Names of the scores that mean something for such answers."""
    shares = {
        "numeric": [_RESULT in text or _is_number(text) for text in expected],
        "json": [_json(text) is not None for text in expected],
    }
    return [name for name in SCORES if name not in shares or np.mean(shares[name]) >= ENOUGH]


def score_answers(answers: Sequence[str], expected: Sequence[str]) -> dict[str, Spread]:
    """Every fitting score of some answers, with its 95 % interval over the rows."""
    pairs = list(zip(answers, expected, strict=True))
    return {
        name: mean(np.array([SCORES[name](ours, theirs) for ours, theirs in pairs]))
        for name in fitting(expected)
    }


def _plain(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _f1(shared: int, ours: int, theirs: int) -> float:
    return 2 * shared / (ours + theirs)


def _longest_common(left: list[str], right: list[str]) -> int:
    """The length of the longest common subsequence."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys([*left, *right]))}
    row = np.zeros(len(right) + 1, dtype=np.int64)
    theirs = np.array([numbers[word] for word in right])
    for word in left:
        step = np.maximum(row[1:], row[:-1] + (theirs == numbers[word]))
        row[1:] = np.maximum.accumulate(step)
    return int(row[-1])


@cache
def _chrf() -> Any:
    from sacrebleu.metrics import CHRF  # takes a while, and not everyone asks for it

    return CHRF()


def _result(text: str) -> Decimal | None:
    _, mark, behind = text.rpartition(_RESULT)
    found = _NUMBER.findall(behind)
    try:
        return Decimal(found[0 if mark else -1].replace(",", "")) if found else None
    except InvalidOperation:
        return None


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text.strip()) is not None


def _json(text: str) -> Any:
    """What JSON the text is: an object or a list; None for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None
