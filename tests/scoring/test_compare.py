"""Two models side by side: what differs, how sure that is, and what a gate makes of it."""

from pathlib import Path

import numpy as np
import pytest

from trainer_core.cli.eval_report import lines_of
from trainer_core.errors import UserError
from trainer_core.runs.multi_run_events import Spread
from trainer_core.scoring.answers import SCORES
from trainer_core.scoring.compare import Compared, Gate, compare, gate_of, scores_by_name
from trainer_core.scoring.perplexity import compare_perplexity

EXPECTED = [str(number) for number in range(200)]


def answers(right: int) -> list[str]:
    """So many right ones, the first."""
    return [text if number < right else "no" for number, text in enumerate(EXPECTED)]


def test_a_difference_is_paired() -> None:
    """What both get wrong adds nothing to the width, so the interval is narrower than either's."""
    found = compare({"exact": SCORES["exact"]}, EXPECTED, answers(110), answers(100))["exact"]
    assert found.other is not None
    assert found.difference is not None
    assert (found.value.value, found.other.value) == (0.55, 0.5)
    assert found.difference.value == pytest.approx(0.05)
    assert 0 < found.difference.low < 0.05 < found.difference.high < 0.1
    assert found.difference.high - found.difference.low < found.value.high - found.value.low


@pytest.mark.parametrize(
    ("ours", "theirs", "gate", "passed", "said"),
    [
        (150, 100, "exact", True, ""),
        (100, 150, "exact", False, "exact is worse by 0.250"),
        (101, 100, "exact", True, "200 rows are too few to be sure of exact"),
        (99, 100, "exact", True, "200 rows are too few to be sure of exact"),
        (100, 100, "exact", True, ""),
        (155, 0, "exact>=0.8", False, "exact is 0.775, less than 0.8; 200 rows are too few to be"),
        (180, 0, "exact >= 0.8", True, ""),
        (165, 0, "exact>=0.8", True, "200 rows are too few to be sure of exact"),
        (150, 0, "exact>=0.8", False, "exact is 0.750, less than 0.8"),
    ],
)
def test_a_gate(ours: int, theirs: int, gate: str, passed: bool, said: str) -> None:
    found = compare({"exact": SCORES["exact"]}, EXPECTED, answers(ours), answers(theirs))["exact"]
    judged, sentence = gate_of(gate).judge(found, len(EXPECTED))
    assert judged is passed
    assert sentence.startswith(said) if said else not sentence


@pytest.mark.parametrize("rows", [1, 3, 29])
def test_few_rows_that_all_say_the_same_prove_little(rows: int) -> None:
    expected = ["yes"] * rows
    found = compare({"exact": SCORES["exact"]}, expected, expected, expected)["exact"]
    for gate in ("exact", "exact>=0.8"):
        passed, sentence = gate_of(gate).judge(found, rows)
        assert passed
        assert sentence.startswith(f"{rows} rows are too few to be sure of exact: each gave")
    none = compare({"exact": SCORES["exact"]}, expected, ["no"] * rows, expected)["exact"]
    assert not gate_of("exact").judge(none, rows)[0]


def test_a_table_of_scores_that_only_some_can_be_compared_by() -> None:
    found = compare({"exact": SCORES["exact"]}, EXPECTED, answers(101), answers(100))
    known = [(2.0, 4)] * 200
    found["perplexity"] = compare_perplexity(known, [(2.0, 5)] * 200)
    lines = lines_of(found, 200, "other")
    assert lines[0] == "200 rows, 95 % intervals"
    assert lines[1].split() == ["score", "value", "other", "difference"]
    assert lines[2].split()[:2] == ["exact", "0.505"]
    assert "not comparable" in lines[3]
    assert lines[4:] == ["too few rows to tell which is better: exact"]


def test_a_gate_without_anyone_beside() -> None:
    alone = Compared(Spread(value=0.5, low=0.4, high=0.6))
    assert Gate("exact").judge(alone, 10) == (False, "exact has nothing to be compared with")
    assert Gate("exact", 0.3).judge(alone, 10) == (True, "")


def test_scores_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("def length(answer, expected):\n    return len(answer) / len(expected)\n")
    scores = scores_by_name(["exact"], r"^n", f"{own}:length")
    assert [*scores] == ["exact", "regex", "length"]
    found = compare(scores, ["no", "ab"], ["no", "abab"])
    assert {name: one.value.value for name, one in found.items()} == {
        "exact": 0.5,
        "regex": 0.5,
        "length": 1.5,
    }
    with pytest.raises(UserError, match="the score length failed: ZeroDivisionError"):
        compare(scores, [""], ["a"])
    own.write_text("def length(answer, expected):\n    return float('nan')\n")
    with pytest.raises(UserError, match=r"length failed: for an answer it gave what is no number"):
        compare(scores_by_name([], None, f"{own}:length"), ["a"], ["a"])


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("none.py:score", "names no function in a file"),
        ("{own}:none", "has no function none"),
        ("{own}", "names no function in a file"),
        ("{broken}:score", "cannot be run: SyntaxError"),
    ],
)
def test_what_is_no_function(function: str, said: str, tmp_path: Path) -> None:
    own, broken = tmp_path / "own.py", tmp_path / "broken.py"
    own.write_text("score = 1\n")
    broken.write_text("def\n")
    with pytest.raises(UserError, match=said):
        scores_by_name([], None, function.format(own=own, broken=broken))


def test_other_mistakes() -> None:
    with pytest.raises(UserError, match=r"no score is called bleu\. There are exact, "):
        scores_by_name(["bleu"])
    with pytest.raises(UserError, match="is no regular expression"):
        scores_by_name([], "(")
    with pytest.raises(UserError, match="the gate exact>=much is no condition"):
        gate_of("exact>=much")
    assert np.isfinite(gate_of("exact>=1").limit or 0)


def test_perplexity_is_of_all_trained_tokens_and_lower_is_better() -> None:
    ours, theirs = [(2.0, 4), (9.0, 3)], [(4.0, 4), (9.0, 3)]
    found = compare_perplexity(ours, theirs)
    assert found.value.value == pytest.approx(np.exp(11 / 7))
    assert found.value.low == pytest.approx(np.exp(0.5))
    assert found.value.high == pytest.approx(np.exp(3.0))
    assert found.other is not None
    assert found.difference is not None
    assert found.difference.value == pytest.approx(np.exp(11 / 7) - np.exp(13 / 7))
    assert found.difference.high <= 0
    assert gate_of("perplexity").judge(found, 2)[0]
    worse = compare_perplexity(theirs * 50, [(2.0, 4), (8.0, 3)] * 50)
    assert gate_of("perplexity").judge(worse, 100) == (
        False,
        f"perplexity is worse by {worse.difference.value if worse.difference else 0:.3f}",
    )
    assert gate_of("perplexity <= 5").judge(found, 2)[0]
    assert gate_of("perplexity<=4").judge(found, 2) == (
        False,
        "perplexity is 4.814, more than 4; 2 rows are too few to be sure",
    )
    other_tokens = compare_perplexity(ours, [(4.0, 5), (9.0, 3)])
    assert other_tokens.other is None
    for upside_down in ("perplexity>=3", "exact<=0.5"):
        with pytest.raises(UserError, match="is upside down"):
            gate_of(upside_down)
