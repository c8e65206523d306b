"""What a multi-run came to, as a person reads it."""

import pytest

from trainer_core.runs.event import BaseEvent
from trainer_core.runs.multi_run_events import Forgetting, Merged, Score, Spread, Summary
from trainer_core.runs.multi_run_words import summary_lines
from trainer_core.runs.view import RunView


def scored(ratio: float, arm: str = "", run: int = 2) -> Forgetting:
    spread = Spread(value=0.12, low=-0.0001, high=0.2)
    summary = Summary(average=spread, backward=spread, forgetting=spread)
    only = Summary(average=spread)
    measures = {"loss": only if arm == "joint" else summary, "accuracy": only}
    scores = [Score(loss=0.5, accuracy=0.5)]
    return Forgetting(
        arm=arm,
        run=run,
        of=2,
        slices=["general"],
        merged=scores,
        fine_tuned=scores,
        summaries={"merged": measures, "fine_tuned": measures},
        perplexity_ratio=None if arm == "joint" else ratio,
    )


def lines_of(*events: BaseEvent) -> list[str]:
    view = RunView()
    for event in events:
        view.apply(event)  # type: ignore[arg-type]
    return summary_lines(view)


def merged(merge: str, arm: str = "") -> Merged:
    return Merged(arm=arm, run=2, merge=merge, path="run-02/adapter/merged")


def test_each_adapter_of_each_arm_has_a_line() -> None:
    lines = lines_of(
        merged("slao"), scored(1.1), merged("none", "joint"), scored(0, "joint", run=1)
    )
    names = [line[:28].strip() for line in lines[1:4]]
    assert names == ["this multi-run, merged", "this multi-run, fine-tuned", "joint"]
    assert lines[1].count("0.120 (0.000 to 0.200)") == 3
    assert "12.0%" in lines[1]
    assert lines[3].split()[-2:] == ["-", "-"]


@pytest.mark.parametrize(("ratio", "mark"), [(1.1, "the worst"), (1.15, "! the worst")])
def test_a_slice_that_suffers_is_marked(ratio: float, mark: str) -> None:
    line = lines_of(merged("slao"), scored(ratio))[-1]
    assert line.startswith(mark)
    assert f"{ratio:.2f} times" in line


def test_nothing_is_said_where_nothing_was_measured() -> None:
    assert lines_of(merged("slao")) == []
