"""A resume at any moment ends in the same weights, and a run that is another one is not resumed."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.trainings import Killed, Training
from tests.faults.how_many import WHOLE, some, times
from trainer_core.errors import UserError
from trainer_core.runs.control import Control
from trainer_core.runs.events import Event
from trainer_core.runs.flight import Flight
from trainer_core.worker.launching import make_warm

torch = pytest.importorskip("torch")

# Ten micro-batches an epoch, four a step and two in its last one: an epoch is three steps, so
# checkpoints lie in the middle of epochs and on their borders.
STEPS = times(12, 24)
LONG: dict[str, Any] = {
    "data.limit": 40,
    "training.steps": STEPS,
    "training.batch_size": 4,
    "training.gradient_accumulation": 4,
    "training.eval_steps": 5,
    "training.save_steps": 1,
    "training.keep_checkpoints": 100,
    "lora.dropout": 0.2,
}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


# Of the packs there are too few for several of them in a batch.
BATCHES = {"off": 4, "pack": 1, "padding-free": 4}


@pytest.fixture(scope="module", params=BATCHES if WHOLE else ["off"])
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, demo: Path
) -> Training:
    packing = {"training.packing": request.param, "training.batch_size": BATCHES[request.param]}
    training = Training(tmp_path_factory.mktemp("whole") / "run", demo, **{**LONG, **packing})
    training.go()
    return training


def cut_off(whole: Training, folder: Path, step: int) -> Training:
    """The run as it was when it died after `step`, two steps after its newest checkpoint."""
    shutil.copytree(whole.folder.path, folder, dirs_exist_ok=True)
    cut = object.__new__(Training)
    cut.folder, cut.events = type(whole.folder)(folder), []
    shutil.rmtree(cut.folder.adapter)
    for number in range(step - 1, STEPS + 1):
        shutil.rmtree(cut.folder.checkpoints / f"step-{number}", ignore_errors=True)
    return cut


def packing_of(training: Training) -> dict[str, Any]:
    planned = training.of("plan")[0].values
    return {name: planned[name] for name in ("training.packing", "training.batch_size")}


def said(training: Training, words: str) -> list[str]:
    events = training.of("log") + training.of("warning")
    return [event.message for event in events if words in event.message]


POINTS = range(3, STEPS - 1) if WHOLE else (4, 7, 8)


@pytest.mark.parametrize("step", some([*POINTS], 2))
def test_a_resume_is_exact_and_proves_it(
    whole: Training, tmp_path: Path, step: int, caplog: pytest.LogCaptureFixture
) -> None:
    cut = cut_off(whole, tmp_path / "run", step)
    caplog.set_level("INFO")
    assert cut.go().outcome == "finished"
    assert cut.of("plan")[0].resumed_from == step - 2
    assert cut.digest() == whole.digest()
    assert cut.losses == {n: loss for n, loss in whole.losses.items() if n >= step - 1}
    proofs = [line for line in caplog.messages if line.startswith("resume proof")]
    assert f"step {step - 2}, learning rate" in proofs[0]
    assert "optimizer tensors and the random generators are restored" in proofs[0]
    assert "rows.jsonl:" in proofs[0]
    assert f"step {step - 1} has the loss that it had before" in proofs[1]


def test_a_resume_that_is_not_exact_says_so(whole: Training, tmp_path: Path) -> None:
    cut = cut_off(whole, tmp_path / "run", 9)
    curve = cut.folder.curves / "loss.f64"
    points = torch.frombuffer(bytearray(curve.read_bytes()), dtype=torch.float64).reshape(-1, 2)
    points[:, 1] += 1e-6
    curve.write_bytes(points.numpy().tobytes())
    cut.go()
    assert said(cut, "the resumed step 8 is not the one that was recorded")


class StopWhen(Flight):
    """A flight record that asks for a stop at a moment of its own."""

    control: Control
    moment: Callable[[dict[str, Any]], bool]

    def note(self, **facts: Any) -> None:
        super().note(**facts)
        if type(self).moment(facts):
            type(self).control.ask("stop", "test")


MOMENTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "the second micro-batch of step 4": lambda f: f.get("step") == 4 and f["micro_batch"] == 2,
    "the first of step 7": lambda f: f.get("step") == 7 and f["micro_batch"] == 1,
    "the validation after step 5": lambda f: bool(f.get("evaluating")),
    "the second micro-batch of all": lambda f: f.get("step") == 1 and f["micro_batch"] == 2,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_stop_within_a_step_loses_nothing(
    whole: Training, demo: Path, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer_core.engine import train as engine

    StopWhen.control, StopWhen.moment = Control(), staticmethod(MOMENTS[moment])
    settings = {**LONG, **packing_of(whole), "training.save_steps": 100}
    stopped = Training(tmp_path / "run", demo, **settings)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "Flight", StopWhen)
        ended = stopped.go(control=StopWhen.control)
    assert ended.outcome == "stopped"
    last = max(stopped.losses, default=0)
    assert stopped.checkpoints == ([f"step-{last}"] if last else [])
    assert stopped.go().outcome == "finished"
    assert stopped.digest() == whole.digest()
    assert [e.loss for e in stopped.of("eval")] == [e.loss for e in whole.of("eval")]


CHANGES: dict[str, tuple[Callable[[Training], Any], str]] = {
    "a row more": (
        lambda run: _rows(run).write_text(2 * _rows(run).read_text().replace("What", "Who", 1)),
        "the train data",
    ),
    "another row": (
        lambda run: _rows(run).write_text(_rows(run).read_text().replace("What", "Which", 1)),
        "the train data: other rows",
    ),
    "another seed": (
        lambda run: _edit(run, "seed", "training:\n  seed: 7\n"),
        "training.seed",
    ),
    "another rate": (
        lambda run: _edit(run, "learning_rate: 0.002", "learning_rate: 0.001"),
        "training.learning_rate: 0.002, now 0.001",
    ),
    "another model": (
        lambda run: _touch_model(run),
        "the files of the base model",
    ),
}


def _rows(run: Training) -> Path:
    return run.folder.path.parent / "rows.jsonl"


def _edit(run: Training, before: str, after: str) -> None:
    text = run.folder.config.read_text()
    if before in text:
        run.folder.config.write_text(text.replace(before, after))
    else:
        run.folder.config.write_text(text.replace("training:\n", after))


def _touch_model(run: Training) -> None:
    weights = run.folder.path.parent / "base" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


@pytest.mark.parametrize("change", CHANGES)
def test_another_run_is_not_gone_on_with_unless_the_user_says_so(
    demo: Path, tmp_path: Path, change: str
) -> None:
    shutil.copytree(demo / "base", tmp_path / "base")
    run = Training(tmp_path / "run", demo, **{"model.base": str(tmp_path / "base")})
    with pytest.raises(Killed):
        run.go(dies=lambda event: event.type == "metrics" and event.step == 3)
    make, words = CHANGES[change]
    make(run)
    before = {path.name for path in run.folder.checkpoints.iterdir()}
    with pytest.raises(UserError, match="not the run that began") as refused:
        run.go()
    assert words in str(refused.value)
    assert "--warm" in str(refused.value)
    assert {path.name for path in run.folder.checkpoints.iterdir()} == before
    make_warm(run.folder, [])
    assert run.go().outcome == "finished"
    assert said(run, "a warm resume")
    assert not run.folder.warm.exists()
    assert run.go().outcome == "finished"  # it is one run again


def test_a_finished_run_trains_on_with_more_steps_and_another_rate(
    demo: Path, tmp_path: Path
) -> None:
    run = Training(tmp_path / "run", demo)
    run.go()
    make_warm(run.folder, ["training.steps=6", "training.learning_rate=5e-4"])
    run.events.clear()
    assert run.go().outcome == "finished"
    assert sorted(run.losses) == [5, 6]
    rates = [event.values["learning_rate"] for event in run.of("metrics")]
    assert max(rates) <= 5e-4
    assert said(run, "training.steps: 4, now 6")
    assert json.loads(run.folder.identity.read_text())["settings"]["training.steps"] == 6


def test_a_warm_resume_does_not_take_another_adapters_weights(demo: Path, tmp_path: Path) -> None:
    run = Training(tmp_path / "run", demo)
    run.go()
    make_warm(run.folder, ["training.steps=6", "lora.rank=8"])
    with pytest.raises(UserError, match="does not fit"):
        run.go()


@pytest.mark.parametrize("attempt", range(times(1, 12)))
def test_dying_at_any_event_changes_nothing(
    whole: Training, demo: Path, tmp_path: Path, attempt: int
) -> None:
    """Died at an event drawn by the number of the attempt, several times until it is through."""
    import random

    generator = random.Random(attempt)
    run = Training(tmp_path / "run", demo, **{**LONG, **packing_of(whole)})
    while True:
        left = [generator.randrange(10, 60)]

        def dies(_: Event, left: list[int] = left) -> bool:
            left[0] -= 1
            return left[0] == 0

        try:
            run.go(dies)
        except Killed:
            continue
        break
    assert run.digest() == whole.digest()
    assert run.losses == whole.losses
