"""The Train screen: a run that goes on, a run that ended, and the keys."""

import time

import pytest

from tests.tui.conftest import WriteRun
from tests.tui.written_runs import WrittenRun, metrics, notices, opened, screen_text, text_of, until
from trainer_core.hardware.gpus import Gpu
from trainer_core.runs.events import (
    Answer,
    Checkpoint,
    Eval,
    Failed,
    Finished,
    Hardware,
    Log,
    Progress,
    Samples,
    Scored,
    Stage,
)
from trainer_core.runs.multi_run_events import Spread
from tui.screens.train import TrainScreen
from tui.widgets.loss_plot import LossPlot

GIB = 1 << 30


async def test_the_log_is_broken_anew_for_another_width(write_run: WriteRun) -> None:
    run = write_run("live-one")
    run.live()
    words = " ".join(f"word{number}" for number in range(16))
    run.say(Log(level="INFO", logger="data", message=words))
    async with opened(run, (160, 50)) as (app, pilot):
        await until(lambda: words in screen_text(app), "the line as a whole")
        await pilot.resize_terminal(80, 50)
        await until(lambda: "word15" in screen_text(app), "its end, on another line")
        assert words not in screen_text(app)
        await pilot.resize_terminal(160, 50)
        await until(lambda: words in screen_text(app), "the line as a whole again")


def sample(*gpus: Gpu, note: str = "") -> Hardware:
    return Hardware(
        cpu=52.0,
        ram_used=4 * GIB,
        ram_total=16 * GIB,
        process_ram=GIB,
        disk_used=10 * GIB,
        disk_total=40 * GIB,
        gpus=list(gpus),
        gpu_note=note,
    )


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_attaching_shows_the_whole_curve_and_goes_on_live(
    write_run: WriteRun, size: tuple[int, int]
) -> None:
    run = write_run("live-one")
    run.live()
    run.train(1, 40, lambda step: 3 / step)
    async with opened(run, size) as (app, _):
        await until(lambda: "step 40/100" in screen_text(app), "what was")
        screen = app.screen
        assert isinstance(screen, TrainScreen)
        assert len(screen._view.curve("loss")) == 40
        assert "live-one" in screen_text(app)
        assert "running" in screen_text(app)
        run.say(metrics(41, 0.05), Eval(step=41, epoch=0.8, loss=0.75, best=True))
        await until(lambda: "step 41/100" in screen_text(app), "what is")
        await until(lambda: "0.7500" in screen_text(app), "the validation")
        assert "1,234 tok/s" in screen_text(app)


async def test_a_stage_shows_how_far_it_is(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    run.say(
        Stage(stage="importing", detail="transformers", time=time.time() - 65),
    )
    async with opened(run) as (app, _):
        await until(lambda: "1 min 0" in text_of(app, "#numbers"), "the time in the stage")
        run.say(
            Stage(stage="tokenizing"),
            Progress(stage="tokenizing", done=500, total=2000, unit="rows", rate=100.0),
        )
        await until(lambda: "500 of 2,000 rows, 100 a second" in screen_text(app), "the progress")


async def test_gauges_show_each_gpu_or_why_there_is_none(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    run.say(sample(note="no NVIDIA driver"))
    async with opened(run, (160, 50)) as (app, _):
        await until(lambda: "no NVIDIA driver" in screen_text(app), "why there is no GPU")
        gpus = [
            Gpu(
                index=index,
                name="NVIDIA H200",
                utilization=87.0,
                memory_used=60 * GIB,
                memory_total=140 * GIB,
                temperature=61.0,
                power=512.0,
                power_limit=700.0,
            )
            for index in range(2)
        ]
        run.say(sample(*gpus))
        await until(lambda: "1: NVIDIA H200" in screen_text(app), "both GPUs")
        for words in ("87 %", "60.0 GiB / 140.0 GiB", "61 °C", "512 / 700 W"):
            assert words in screen_text(app)


async def test_losses_that_are_no_numbers_are_survived(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    odd = [float("nan"), float("inf"), float("-inf"), None, 0.0, -1.0]
    run.train(1, 60, lambda step: odd[step % len(odd)])
    async with opened(run, (160, 50)) as (app, pilot):
        await until(lambda: "step 60/100" in screen_text(app), "the steps")
        await pilot.press("l")
        await until(lambda: any("above zero" in n for n in notices(app)), "the refusal")
        run.say(metrics(61, 3.5), metrics(62, 3.0), metrics(63, 2.5))
        await until(lambda: "2.5000" in screen_text(app), "the loss")
        await pilot.press("l")
        plot = app.screen.query_one(LossPlot)
        await until(lambda: plot.logarithmic, "the log scale")


async def test_only_losses_that_are_no_numbers(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    run.train(1, 5, lambda step: float("nan"))
    async with opened(run) as (app, _):
        await until(lambda: "loss nan" in screen_text(app), "the loss as it is")


async def test_the_end_is_said_and_the_answers_appear(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    run.say(Samples(when="before", step=0, answers=[Answer(prompt="Who?", answer="No idea")]))
    async with opened(run, (120, 40)) as (app, pilot):
        await pilot.press("s")
        await until(lambda: "No idea" in screen_text(app), "the answer before")
        await pilot.press("s")
        run.train(1, 5, lambda step: 1.0)
        run.say(
            Samples(when="after", step=5, answers=[Answer(prompt="Who?", answer="The owl")]),
            Finished(outcome="finished", step=5, elapsed=65.0, saved="adapter/best"),
        )
        await until(lambda: "finished after 1 min 05 s" in screen_text(app), "the end")
        assert "adapter/best" in screen_text(app)
        await until(lambda: "The owl" in screen_text(app), "the answer after")
        assert "No idea" in screen_text(app)


async def test_a_failure_says_what_to_do(write_run: WriteRun) -> None:
    run = write_run()
    run.say(Failed(message="the GPU memory is full", hint="Try a smaller batch", step=3))
    run.show("failed")
    async with opened(run) as (app, pilot):
        await until(lambda: "Try a smaller batch" in screen_text(app), "the hint")
        assert "the GPU memory is full" in screen_text(app)
        await pilot.press("p")
        await until(lambda: any("has ended" in n for n in notices(app)), "why not")
        await pilot.press("q")
        await until(lambda: app._exit, "the exit, without a question")


async def test_leaving_a_living_run_asks_first(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    async with opened(run) as (app, pilot):
        await until(lambda: "training" in screen_text(app), "the run")
        await pilot.press("q")
        await until(lambda: "Leave it running" in screen_text(app), "the question")
        await pilot.press("escape")
        await until(lambda: "Leave it running" not in screen_text(app), "the screen again")
        assert not app._exit
        await pilot.press("q")
        await until(lambda: "Leave it running" in screen_text(app), "the question")
        await pilot.press("enter")
        await until(lambda: app._exit, "the exit")


async def test_a_wish_that_nobody_hears_says_so(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    async with opened(run) as (app, pilot):
        await until(lambda: "training" in screen_text(app), "the run")
        await pilot.press("c")
        await until(lambda: any("cannot be reached" in n for n in notices(app)), "the notice")


async def test_train_without_a_run_opens_the_living_one(write_run: WriteRun) -> None:
    run: WrittenRun = write_run("the-living")
    async with opened() as (app, pilot):
        await pilot.press("4")
        await until(lambda: "No run is open" in screen_text(app), "the empty screen")
        await pilot.press("1")
        run.live()
        await pilot.press("4")
        await until(lambda: "the-living" in screen_text(app), "the run")


async def test_a_flood_of_events_does_not_hold_up_the_keys(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are taken in for FOLD_SECONDS at a time: with none, they all wait, no key does."""
    from tui.screens import train as screen

    run = write_run()
    run.live()
    run.say(*(Log(level="INFO", message=f"line {number}") for number in range(20_000)))
    run.say(Checkpoint(step=1, path="checkpoints/step-1", reason="asked"), metrics(1, 1.0))
    monkeypatch.setattr(screen, "FOLD_SECONDS", 0.0)
    async with opened(run) as (app, pilot):
        for key, shown in zip("717171", ("system", "runs") * 3, strict=True):
            await pilot.press(key)
            assert type(app.screen).__name__.lower() == f"{shown}screen"
        monkeypatch.setattr(screen, "FOLD_SECONDS", 0.03)
        await pilot.press("4")
        await until(lambda: "step 1/100" in screen_text(app), "all of the events")


@pytest.mark.parametrize(("width", "together"), [(80, False), (160, True)])
async def test_answers_stand_beside_those_of_the_base(
    write_run: WriteRun, width: int, together: bool
) -> None:
    run = write_run()
    run.live()
    asked = "What is the plural of city?"
    for when, step, answer in (
        ("before", 0, "The plural is a story."),
        ("during", 10, "The plural is many."),
        ("during", 20, "The plural is cities."),
    ):
        said = [Answer(prompt=asked, answer=answer), Answer(prompt="Hm?", answer="Yes.")]
        run.say(Samples.model_validate({"when": when, "step": step, "answers": said}))
    async with opened(run, (width, 50)) as (app, pilot):
        await until(lambda: "Answers" in screen_text(app), "the keys")
        await pilot.press("s")
        await until(lambda: f"{asked}  changed" in screen_text(app), "the answers")
        text = screen_text(app)
        assert "Hm?  same" in text
        assert "step 20" in text
        assert "many" not in text  # only the newest
        line = next(line for line in text.splitlines() if "plural is cities." in line)
        assert ("The plural is a story." in line) is together
        marks = [
            segment.text
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None and segment.style.underline and segment.style.bold
        ]
        assert marks == ["cities."]


async def test_scores_of_a_slice_and_the_tokens_guessed(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    run.train(1, 40, lambda step: 1.0)
    values = {"eval_mean_token_accuracy": 0.9127}
    run.say(Eval(step=40, epoch=1.0, loss=0.5, best=True, values=values))
    exact = Spread(value=0.45, low=0.3, high=0.6)
    run.say(Scored(step=40, rows=20, scores={"exact": exact}))
    async with opened(run) as (app, _):
        await until(lambda: "0.5000 (best 0.5000), 91.3% guessed" in screen_text(app), "accuracy")
        said = "20 rows at step 40  exact 0.450"
        await until(lambda: said in screen_text(app), "the scores")
