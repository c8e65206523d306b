"""Training in this process: callbacks, going on with a run, several runs, the plan, the line."""

import io
import logging
from pathlib import Path

import pytest

pytest.importorskip("torch")

from rich.console import Console

import trainer_core
from tests.python.conftest import SMALL
from trainer_core import Trainer
from trainer_core.errors import LockedError, UserError
from trainer_core.python.progress import ShownProgress
from trainer_core.runs.events import Event, Finished, Metrics, Notice, Plan, Stage, decode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.multi_run_events import RunStart
from trainer_core.runs.status import take_lock


def recorded(folder: Path) -> list[Event]:
    return [decode(line) for line in (folder / "events.jsonl").read_bytes().splitlines()]


def test_a_callback_sees_everything_and_breaks_nothing(
    demo: Path, rows: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Event] = []

    def callback(event: Event) -> None:
        seen.append(event)
        raise ValueError("mine")

    trainer = Trainer(demo / "base", **SMALL)
    with caplog.at_level(logging.ERROR, "backprop.callbacks"):
        result = trainer.train(rows / "train.jsonl", steps=2, output="run", callback=callback)
    assert result.outcome == "finished"
    assert [event.n for event in recorded(result.folder)] == [event.n for event in seen]
    assert [r.exc_text or "" for r in caplog.records if r.name == "backprop.callbacks"] != []
    assert sum("on_event failed" in record.message for record in caplog.records) == 1
    with pytest.raises(UserError, match="callback and on_event are the same"):
        trainer.train(rows / "train.jsonl", callback=callback, on_event=callback)


def test_an_interrupted_run_is_gone_on_with(demo: Path, rows: Path) -> None:
    def interrupt(event: Event) -> None:
        if event.type == "metrics" and event.step == 3:
            raise KeyboardInterrupt

    wanted = {**SMALL, "lora_dropout": 0.1, "save_steps": 2}
    whole = Trainer(demo / "base", **wanted).train(rows / "train.jsonl", steps=4, output="whole")
    trainer = Trainer(demo / "base", **wanted)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(rows / "train.jsonl", steps=4, output="broken", on_event=interrupt)
    broken = recorded(Path("broken"))
    assert [event.n for event in broken] == list(range(1, len(broken) + 1))
    assert [event.step for event in broken if event.type == "metrics"] == [1, 2, 3]
    assert broken[-1].type == "finished"
    # What stands in the run's config may be said again, and nothing else.
    with pytest.raises(UserError, match=r"started with another training\.steps"):
        trainer.train(rows / "train.jsonl", steps=5, resume_from="broken")
    with pytest.raises(UserError, match="Leave output out"):
        trainer.train(resume_from="broken", output="other")
    lock = take_lock(RunFolder(Path("broken").absolute()))
    with pytest.raises(LockedError):
        trainer.train(resume_from="broken")
    lock.release()
    result = trainer.train(rows / "train.jsonl", steps=4, resume_from="broken")
    (resumed,) = [e for e in recorded(Path("broken"))[len(broken) :] if isinstance(e, Plan)]
    assert resumed.resumed_from == 2
    assert result.steps == 4
    assert result.last_loss == whole.last_loss
    weights = "adapter_model.safetensors"
    assert (result.adapter / weights).read_bytes() == (whole.adapter / weights).read_bytes()
    with pytest.raises(UserError, match=r"has finished\. Trainer\.load"):
        Trainer().train(resume_from="last")


def test_several_runs_come_back_typed(demo: Path, rows: Path) -> None:
    trainer = Trainer(demo / "base", validation=rows / "held_out.jsonl", **SMALL)
    halves = [rows / "train.jsonl", rows / "held_out.jsonl"]
    result = trainer.multi_run(
        dataset=halves, steps_per_run=2, samples_per_run=12, eval_rows=2, compare=["sequential"]
    )
    assert result.outcome == "finished"
    assert [run.number for run in result.runs] == [1, 2]
    assert [run.steps for run in result.runs] == [2, 2]
    assert [run.name for run in result.runs] == ["train", "held_out"]
    events = recorded(result.folder)
    first = next(event for event in events if isinstance(event, Metrics))
    assert result.runs[0].first_loss == first.values["loss"]
    assert all(run.merged is not None and run.merged.is_dir() for run in result.runs)
    forgetting = result.forgetting
    assert forgetting is not None
    assert forgetting.slices[-1] == "general"
    assert len(forgetting.before) == 3
    assert set(forgetting.scores) == {"merged", "fine_tuned", "sequential"}
    assert len(forgetting.losses("merged")) == 2
    assert forgetting.losses("merged")[1] != forgetting.losses("fine_tuned")[1]
    assert forgetting.summaries["sequential"]["loss"].forgetting is not None
    newest = trainer.evaluate(checkpoint="last")
    assert trainer.undo_last_merge() == 2
    assert trainer.evaluate(checkpoint="last") != newest
    with pytest.raises(UserError, match="only run 1 is merged"):
        trainer.undo_last_merge()
    with pytest.raises(UserError, match="there is only one run"):
        trainer.multi_run(rows / "train.jsonl", steps=2)


def test_a_plan_says_everything_and_starts_nothing(demo: Path, rows: Path, tmp_path: Path) -> None:
    trainer = Trainer(demo / "base", backend="transformers", lora_r=4)
    plan = trainer.plan(rows / "train.jsonl", steps=20)
    assert plan.total_steps == 20
    assert plan.values["lora.rank"] == 4
    assert plan.reasons["lora.rank"].startswith("user")
    assert plan.fits
    assert plan.memory_total == sum(plan.memory.values())
    assert plan.estimated
    assert "20 steps" in str(plan)
    assert "fits" in repr(plan)
    exact = trainer.plan(rows / "train.jsonl", steps=20, exact=True)
    assert not exact.estimated
    several = trainer.plan(rows / "train.jsonl", runs=3, steps=20, samples=10)
    assert [run.steps for run in several.runs] == [20, 20, 20]
    assert not (tmp_path / "runs").exists()
    with pytest.raises(UserError, match="no model is named"):
        Trainer().plan(rows / "train.jsonl")


def events_of_a_run() -> list[Event]:
    return [
        Stage(n=1, stage="training"),
        RunStart(
            n=2, run=2, of=5, name="b", first_step=3, steps=3, rows=9, learning_rate=1e-3
        ),
        Metrics(
            n=3, run=2, step=4, total_steps=6, epoch=0.5, elapsed=1.0, values={"loss": 0.4321},
            tokens=90, tokens_per_second=812.0, seconds_left=65.0,
        ),
        Notice(n=4, message="rows [bold]dropped[/bold]\x1b[31m", hint="Look."),
        Finished(n=5, outcome="finished", step=6, elapsed=7.0),
    ]  # fmt: skip


def test_the_line_says_where_it_is_and_leaves_prints_alone() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100, color_system=None)
    with ShownProgress(None, console) as shown:
        for event in events_of_a_run():
            shown.see(event)
            if isinstance(event, Metrics):
                console.print("said by the caller")
                shown._live.refresh()
    text = file.getvalue()
    line = next(part for part in text.split("\r") if "0.4321" in part)
    for words in ("training, run 2 of 5", "4/6", "loss 0.4321", "812 tok/s", "1 min 05 s left"):
        assert words in line
    assert "warning: rows [bold]dropped[/bold]. Look." in text
    assert "\x1b[31m" not in text
    last = text.rsplit("\r", 1)[-1]
    assert "finished" in last
    assert "in 7 s" in last
    assert "said by the caller\n" in text


def test_where_nothing_is_rewritten_lines_come_when_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for wish in (None, False, True):
        with ShownProgress(wish, Console(file=io.StringIO())) as shown:
            for event in events_of_a_run():
                shown.see(event)
        said = capsys.readouterr().out
        assert bool(said) is (wish is True)
    assert "warning: rows" in said
    assert said.endswith("loss 0.4321  in 7 s\n")
    assert "\x1b" not in said


def test_results_are_names_of_the_package() -> None:
    for name in trainer_core.__all__:
        assert getattr(trainer_core, name)
    with pytest.raises(AttributeError):
        trainer_core.nothing  # noqa: B018
