"""Two runs side by side."""

import math
from pathlib import Path

import pytest

from tests.history.written import DEMO, entry_of, finished, prediction
from tests.tui.written_runs import WrittenRun
from trainer_core.cli.runs_diff import diff_lines
from trainer_core.history.comparing import Comparison, compare_runs
from trainer_core.history.reading import read_facts
from trainer_core.runs.events import Scored
from trainer_core.runs.multi_run_events import Spread


def compared(a: WrittenRun, b: WrittenRun) -> Comparison:
    return compare_runs(read_facts(entry_of(a)), read_facts(entry_of(b)))


def test_the_same_run(tmp_path: Path) -> None:
    a, b = (finished(tmp_path / name, name) for name in "ab")
    found = compared(a, b)
    assert all(pair.same for pair in [*found.settings, *found.material])
    loss = next(curve for curve in found.curves if curve.name == "loss")
    assert (loss.identical, loss.common, loss.steps) == (10, 10, [2, 4, 6, 8, 10])
    page = "\n".join(diff_lines(found))
    assert "loss: the same to the last bit at all 10 steps" in page
    assert page.count("  the same\n") == 2
    assert "training.scheduler" not in page
    assert "training.scheduler" in "\n".join(diff_lines(found, everything=True))


def test_what_differs(tmp_path: Path) -> None:
    a = finished(tmp_path / "a", "a", "lora.rank=8")
    b = finished(tmp_path / "b", "b", loss=4.0, data="cc")
    found = compared(a, b)
    differing = {pair.name: pair for pair in found.settings if not pair.same}
    rank = differing["lora.rank"]
    assert rank.a is not None
    assert rank.b is not None
    assert (rank.a.value, rank.a.origin, rank.b.origin) == (8, "user", "auto")
    assert {pair.name: pair.same for pair in found.material} == {
        "train": False, "base model": True,
    }  # fmt: skip
    loss = next(curve for curve in found.curves if curve.name == "loss")
    # The mean of the losses since the place before: 2/1 and 2/2.
    assert loss.a[0] == 1.5
    assert loss.b == pytest.approx([2 * value for value in loss.a])
    assert (loss.last_a, loss.last_b, loss.identical) == (0.2, 0.4, 0)
    page = diff_lines(found)
    assert any(line.split() == ["lora.rank", "8", str(rank.b.value)] for line in page)
    assert any("B auto: " in line for line in page)
    assert any("train rows: other ones" in line for line in page)
    assert any(line.split()[:2] == ["B", "3.0000"] for line in page)
    assert max(map(len, page)) <= 80


def test_values_that_look_alike_are_shown_in_full(tmp_path: Path) -> None:
    rows = (DEMO / "train.jsonl").read_text()
    runs = []
    for name in "ab":
        file = tmp_path / name / "data" / "of-a-long-name.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text(rows)
        wish = (f"data.train={file}", f"data.split.seed={ord(name)}")
        runs.append(finished(tmp_path / name / "run", name, *wish))
    page = diff_lines(compared(*runs))
    for name in "ab":
        place = tmp_path / name / "data" / "of-a-long-name.jsonl"
        assert f"      {name.upper()} {place}" in page
    assert any(line.split() == ["data.split.seed", "97", "98"] for line in page)
    assert not any(line.startswith("  data.split.group") for line in page)


def test_scores_of_the_same_prompts(tmp_path: Path) -> None:
    a, b = (finished(tmp_path / name, name) for name in "ab")
    prediction(a, {"x?": ("X", "X")})
    prediction(a, {f"{n}?": (str(n), str(n)) for n in range(20)})
    prediction(b, {f"{n}?": (str(n), str(n) if n < 5 else "?") for n in range(2, 22)})
    prediction(b, {f"{n}?": (str(n), str(n)) for n in range(20)}, base=True)
    found = compared(a, b)
    assert found.answers is not None
    assert (found.answers.a, found.answers.b) == ("predictions/2", "predictions/1")
    assert found.answers.rows == 18
    (exact,) = (score for score in found.answers.scores if score.name == "exact")
    assert (exact.a.value, exact.b.value) == (1.0, 3 / 18)
    assert exact.difference.low <= exact.difference.value == -15 / 18 <= exact.difference.high < 0
    assert "18 prompts of A's predictions/2" in "\n".join(diff_lines(found))


def test_perplexity_and_how_answers_were_made(tmp_path: Path) -> None:
    a, b = (finished(tmp_path / name, name) for name in "ab")
    answers = {f"{n}?": (str(n), str(n)) for n in range(20)}
    how = {"temperature": 0.0, "top_p": 1.0}
    prediction(a, answers, nats=2.0, sampling={**how, "max_tokens": 256, "seed": 1})
    prediction(b, answers, nats=4.0, sampling={**how, "max_tokens": 5, "seed": 2})
    found = compared(a, b)
    assert found.answers is not None
    known = {score.name: score for score in found.answers.scores}["perplexity"]
    assert (known.a.value, known.b.value) == pytest.approx((math.e, math.e**2))
    page = "\n".join(diff_lines(found))
    assert "not answered alike: max_tokens 256 and 5\n" in page
    prediction(b, answers, sampling={"max_tokens": 256, "temperature": 0.5, "seed": 2})
    said = "not answered alike: temperature 0 and 0.5, top_p 1 and null, seed 1 and 2\n"
    assert said in "\n".join(diff_lines(compared(a, b)))


def test_scores_while_training(tmp_path: Path) -> None:
    runs = []
    for name, value in (("a", 0.25), ("b", 0.5)):
        run = WrittenRun(tmp_path / name, name)
        for step in (20, 40):
            spread = Spread(value=value * step / 40, low=0, high=1)
            scores = {"exact": spread, **({"chrf": spread} if name == "a" else {})}
            run.say(Scored(step=step, rows=20, scores=scores))
        run.close()
        runs.append(run)
    found = compared(*runs)
    (exact,) = found.curves  # what only one of them has is no comparison
    assert (exact.name, exact.steps) == ("score_exact", [20, 40])
    assert (exact.a, exact.b) == ([0.125, 0.25], [0.25, 0.5])
    page = [line.split() for line in diff_lines(found)]
    assert ["exact", "+0.125", "+0.250", "0.250,", "0.500"] in page


def test_a_run_that_never_began(tmp_path: Path) -> None:
    a = finished(tmp_path / "a", "a")
    b = WrittenRun(tmp_path / "b", "b")
    b.close()
    found = compared(a, b)
    assert {pair.same for pair in found.settings} == {False}
    assert {pair.same for pair in found.material} == {None}
    assert [curve.last_b for curve in found.curves] == [None, None]
    assert diff_lines(found)
    assert "neither run came to a plan" in "\n".join(diff_lines(compared(b, b)))
