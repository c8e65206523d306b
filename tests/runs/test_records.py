"""What a run writes: events without gaps, metrics files, curves; and what a full disk does."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np

from trainer_core.runs.curves import Curve, curve_path, load_curve
from trainer_core.runs.events import (
    Answer,
    Checkpoint,
    Eval,
    Event,
    Failed,
    Finished,
    Hardware,
    Log,
    Metrics,
    Notice,
    Plan,
    Progress,
    Samples,
    Stage,
    State,
    decode,
    encode,
)
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.view import RunView


def metrics(step: int, loss: float = 1.0) -> Metrics:
    values = {"loss": loss, "grad_norm": None}
    return Metrics(step=step, total_steps=10, epoch=step / 5, elapsed=1.0, values=values)


def evaluation(step: int, loss: float, best: bool) -> Eval:
    return Eval(step=step, epoch=0.4, loss=loss, best=best)


EVENTS: list[Event] = [
    Stage(stage="training", detail="é\u2028\n"),
    Progress(stage="data", done=1, total=None),
    Plan(total_steps=10, epochs=2.0, values={"a": [1]}, reasons={"a": "why"}),
    metrics(1, math.inf),
    evaluation(1, 2.5, True),
    Log(level="INFO", message="m"),
    Checkpoint(step=1, path="checkpoints/1", reason="asked"),
    Samples(when="before", step=0, answers=[Answer(prompt="p", answer="a")]),
    Notice(message="m"),
    Finished(outcome="finished", step=1, elapsed=1.0),
    Failed(message="m"),
    State(message="m"),
]  # fmt: skip


def read(path: Path) -> list[dict[str, object]]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return [json.loads(x, parse_constant=refuse) for x in path.read_text().splitlines()]


def test_every_event_comes_back_as_it_was() -> None:
    for event in EVENTS:
        line = encode(event)
        assert b"\n" not in line
        assert decode(line) == event
    back = decode(encode(metrics(1, math.nan)))
    assert isinstance(back, Metrics)
    assert math.isnan(back.values["loss"] or 0)


def test_numbers_go_on_after_a_crash_in_mid_line(tmp_path: Path) -> None:
    folder, seen = RunFolder(tmp_path), []
    first = Recorder(folder, seen.append)
    for step in (1, 2):
        first.record(metrics(step))
    first.close()
    with folder.events.open("ab") as file:
        file.write(b'{"n":3,"type":"log","lev')
    again = Recorder(folder, seen.append)
    again.record(metrics(3))
    again.close()
    assert [event["n"] for event in read(folder.events)] == [1, 2, 3]
    assert [event.n for event in seen] == [1, 2, 3]


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from trainer_core.runs.events import Metrics
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def record(steps):
    for step in steps:
        recorder.record(
            Metrics(step=step, total_steps=99, epoch=0, elapsed=0, values={"loss": float(step)})
        )
recorder = Recorder(RunFolder(Path(sys.argv[1])), lambda e: print(e.n, e.type, e.message
    if e.type == "state" else e.step))
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
record(range(1, 6))
resource.setrlimit(resource.RLIMIT_FSIZE, (recorder._file.size + 50, most))
record(range(6, 11))
print("room")
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
record(range(11, 13))
recorder.close()
"""


def test_a_full_disk_loses_no_event_and_is_said_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    folder = RunFolder(tmp_path)
    written = read(folder.events)
    assert [event["n"] for event in written] == list(range(1, 13))
    assert [event["step"] for event in written] == list(range(1, 13))
    before, after = done.stdout.split("room\n")
    assert before.count("state") == 1
    assert "cannot be written" in before
    assert after.count("state") == 1
    assert "written again" in after
    heard = [int(x.split()[0]) for x in done.stdout.splitlines() if " metrics " in x]
    assert heard == list(range(1, 13))
    assert load_curve(curve_path(folder.curves, "loss")).values.tolist() == list(range(1, 13))


def test_the_metrics_files_say_what_the_events_said(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    recorder = Recorder(folder, lambda _: None)
    recorder.record(EVENTS[2])
    for step in range(1, 13):
        recorder.record(metrics(step, math.nan if step == 3 else float(step)))
    recorder.record(evaluation(12, 0.5, True))
    recorder.record(Hardware(step=12, stage="training", **sample()))
    recorder.record(Finished(outcome="finished", step=12, elapsed=9.0, summary={"x": 1.0}))
    recorder.close()

    stream = read(folder.metrics_stream)
    assert [row["step"] for row in stream] == list(range(1, 13))
    assert stream[0]["loss"] == 1.0
    assert stream[2]["loss"] is None
    training = read(folder.training_metrics)
    kinds = [row["event"] for row in training]
    assert kinds == ["train_begin", *["log"] * 12, "evaluate", "train_end"]
    last = training[12]
    assert last["loss_avg_10"] == sum([2, 4, 5, 6, 7, 8, 9, 10, 11, 12]) / 10
    assert training[1]["loss_ema"] == 1.0
    assert 7 < last["loss_ema"] < 12
    assert training[13]["eval_loss"] == 0.5
    (hardware,) = read(folder.hardware_metrics)
    assert hardware["step"] == 12
    assert hardware["stage"] == "training"

    loss = load_curve(curve_path(folder.curves, "loss"))
    assert loss.steps.tolist() == list(range(1, 13))
    np.testing.assert_array_equal(loss.values, [1, 2, np.nan, *range(4, 13)])
    assert load_curve(curve_path(folder.curves, "eval_loss")).last == 0.5
    view = RunView()
    for line in folder.events.read_bytes().splitlines():
        view.apply(decode(line))
        view.apply(decode(line))
    np.testing.assert_array_equal(view.curve("loss").values, loss.values)


def sample() -> dict[str, object]:
    from trainer_core.hardware.sample import MachineSampler

    return MachineSampler(Path("/")).sample().model_dump()


def test_a_resume_cuts_the_curve_where_it_began(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for steps in (range(1, 9), range(5, 7)):
        recorder = Recorder(folder, lambda _: None)
        for step in steps:
            recorder.record(metrics(step, step * 10.0 + len(steps)))
        recorder.close()
    loss = load_curve(curve_path(folder.curves, "loss"))
    assert loss.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert loss.values.tolist() == [18, 28, 38, 48, 52, 62]


def test_a_metric_s_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    path = curve_path(tmp_path, "../../etc/passwd" + "x" * 300)
    assert path.parent == tmp_path
    assert len(path.name) < 100


def test_a_torn_point_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "loss.f64"
    path.write_bytes(np.array([1, 5, 2, 6], dtype="<f8").tobytes() + b"torn")
    assert load_curve(path).values.tolist() == [5, 6]


def test_a_curve_that_is_only_drawn_stays_small_and_keeps_its_extremes() -> None:
    curve = Curve(limit=64)
    for step in range(10_000):
        value = {5_000: 9.0, 5_001: -5.0, 5_002: math.inf}.get(step, 1.0)
        curve.add(step, math.nan if step % 7 == 0 else value)
        assert len(curve) <= 64
    assert {-5.0, 1.0, 9.0} <= set(curve.values.tolist())
    assert curve.steps[0] < 300
    assert np.all(np.diff(curve.steps) > 0)
    assert np.diff(curve.steps).max() < 10_000 / 8, "a stretch of the run is gone"
    assert curve.steps[-1] == 9_999
    curve.add(200, 3.0)  # a resume goes back
    assert curve.steps[-1] == 200
    assert curve.last == 3.0


def test_thinning_keeps_the_extremes() -> None:
    curve = Curve()
    for step in range(100_000):
        curve.add(step, math.nan if step % 7 == 0 else 1.0)
    curve.add(100_001, -5.0)
    curve.add(100_002, 1.0)
    curve.add(100_003, 9.0)
    for step in range(100_004, 150_000):
        curve.add(step, 1.0)
    steps, values = curve.thinned(200)
    assert len(steps) <= 202
    assert values.min() == -5.0
    assert values.max() == 9.0
    assert np.all(np.diff(steps) > 0)
    assert steps[-1] == 149_999
