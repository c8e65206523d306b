"""What happens beside the training, samples and scores, never ends it and never changes it."""

import json
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from tests.engine.trainings import Training
from trainer_core.runs.control import Control
from trainer_core.runs.events import Event

torch = pytest.importorskip("torch")

DEMO = Path(__file__).parents[2] / "configs" / "demo"
ASIDES: dict[str, Any] = {
    "training.sample_prompts": ["Hello?", "hen " * 1000],
    "training.sample_steps": 2,
    "training.score_steps": 2,
    "training.score_rows": 100,
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def notices(run: Training) -> list[str]:
    return [event.message for event in run.of("warning")]


def test_prompts_longer_than_the_context_are_left_out(tmp_path: Path) -> None:
    run = Training(tmp_path / "run", DEMO, **ASIDES, **{"data.too_long": "truncate"})
    asked = [("user", "hi"), ("assistant", "yes"), ("user", "hen " * 2000), ("assistant", "no")]
    row = {"messages": [{"role": role, "content": content} for role, content in asked]}
    with (tmp_path / "held_out.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    assert run.go().outcome == "finished"
    samples = run.of("samples")
    assert [event.step for event in samples] == [0, 2, 4]
    assert all([answer.prompt for answer in e.answers] == ["Hello?"] for e in samples)
    assert [event.rows for event in run.of("scored")] == [20]
    for said in ("1 of the sample prompts leave", "1 of the rows of validation leave"):
        assert sum(message.startswith(said) for message in notices(run)) == 1


def test_memory_that_runs_out_in_an_answer_costs_the_answer_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaModel

    alone = Training(tmp_path / "alone", DEMO)
    alone.go()
    forward = LlamaModel.forward

    @wraps(forward)
    def limited(self: Any, *arguments: Any, **named: Any) -> Any:
        if named.get("use_cache"):  # it writes an answer
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return forward(self, *arguments, **named)

    monkeypatch.setattr(LlamaModel, "forward", limited)
    run = Training(tmp_path / "run", DEMO, **ASIDES)
    assert run.go().outcome == "finished"
    assert run.losses == alone.losses
    assert not run.of("samples")
    assert not run.of("scored")
    why = "were not answered: the memory does not hold them beside the training"
    assert [message for message in notices(run) if why in message] == [
        f"the sample prompts {why}",
        f"the rows of validation {why}",
    ]


def test_a_validation_that_is_asked_for_where_there_is_nothing_to_validate_on(
    tmp_path: Path,
) -> None:
    data = {"data.validation": None, "data.split.fractions": {"train": 1.0}}
    run, control = Training(tmp_path / "run", DEMO, **data), Control()

    def ask(event: Event) -> bool:
        if event.type == "metrics":
            control.ask("evaluate")
        return False

    assert run.go(ask, control).outcome == "finished"
    assert any("no rows for validation" in message for message in notices(run))
