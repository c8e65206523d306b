"""The Train screen: attaching, following, steering, ending."""

import math
from collections.abc import Callable

import pytest

from tests.tui.written_run import WrittenRun, text_of, until, until_shown
from trainer_core.runs.events import Failed, Notice, Progress, Stage
from tui.app import BackpropApp

NewRun = Callable[..., WrittenRun]


async def test_attaching_shows_the_whole_curve_and_goes_on_live(new_run: NewRun) -> None:
    from tui.widgets.loss_plot import LossPlot

    run = new_run(total=5000).live()
    run.train(1, 3000)
    run.validate(3000, 0.4242)
    app = BackpropApp(run.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(app, "step 3,000/5,000", "eval 0.4242", "running", "1,000", "2,000")
        run.train(3001, 3100)
        await until_shown(app, "step 3,100/5,000")
        plot = app.screen.query_one(LossPlot)
        await until(lambda: plot._train.steps[-1] == 3100)
        assert len(plot._train) == 3100
        await pilot.press("1")
        run.train(3101, 3150)
        await pilot.press("4")
        await until_shown(app, "step 3,150/5,000")


async def test_without_a_run_it_says_so_and_takes_the_living_one(new_run: NewRun) -> None:
    app = BackpropApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await until_shown(app, "No run is open")
        await pilot.press("p")
        await until_shown(app, "No run is open")
        await pilot.press("1")
        new_run("living").live().train(1, 7)
        await pilot.press("4")
        await until_shown(app, "living", "step 7/100")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_the_end_is_told_with_the_answers(new_run: NewRun, size: tuple[int, int]) -> None:
    run = new_run().live()
    run.answer("the the the")
    run.train(1, 100)
    app = BackpropApp(run.folder)
    async with app.run_test(size=size):
        await until_shown(app, "step 100/100")
        run.answer("the the the", "The plural of city is cities.")
        run.finish()
        await until_shown(app, "✔ finished after 1 min 01 s", "adapter/last")
        await until_shown(app, "before", "changed", "The plural of city is cities.")


async def test_a_failure_is_told_with_its_hint(new_run: NewRun) -> None:
    run = new_run()
    run.say(Failed(message="out of memory at step 3", hint="Lower the batch size."))
    run.stands("failed")
    app = BackpropApp(run.folder)
    async with app.run_test(size=(80, 24)):
        await until_shown(app, "✖ failed: out of memory at step 3. Lower the batch size.")


async def test_keys_that_cannot_act_say_why(new_run: NewRun) -> None:
    run = new_run()
    run.train(1, 100)
    run.finish()
    app = BackpropApp(run.folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(app, "✔ finished")
        for key in "pcex":
            await pilot.press(key)
            await until_shown(app, "The run has ended (finished)")
        await pilot.press("q")
        await until(lambda: not app.is_running)


async def test_a_run_of_another_host_is_only_read(new_run: NewRun) -> None:
    run = new_run()
    run.status.host = "elsewhere"
    run.train(1, 12)
    app = BackpropApp(run.folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(app, "on elsewhere: read-only", "step 12/100")
        await pilot.press("p")
        await until_shown(app, "it can be steered only")


async def test_quitting_a_living_run_asks(new_run: NewRun) -> None:
    run = new_run().live()
    run.train(1, 5)
    app = BackpropApp(run.folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(app, "step 5/100")
        await pilot.press("1", "q")
        await until_shown(app, "Leave it running", "Stop and save", "Stay here")
        await pilot.press("escape")
        await until(lambda: "Leave it running" not in text_of(app))
        assert app.is_running
        await pilot.press("q")
        await until_shown(app, "Leave it running")
        await pilot.press("enter")
        await until(lambda: not app.is_running)


async def test_stages_show_their_progress(new_run: NewRun) -> None:
    run = new_run().live()
    run.say(
        Stage(stage="tokenizing", detail="train.jsonl"),
        Progress(stage="tokenizing", done=500, total=2000, unit="rows", rate=250),
    )
    app = BackpropApp(run.folder)
    async with app.run_test(size=(100, 30)):
        await until_shown(app, "tokenizing  train.jsonl", "25%  500 of 2,000 rows  250/s  6 s left")


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize(
    "loss",
    [
        lambda step: math.nan,
        lambda step: math.nan if 20 < step < 40 else 1 / step,
        lambda step: math.inf if step % 3 else -math.inf,
        lambda step: 1e308 * (-1) ** step,
        lambda step: 0.0,
        lambda step: 10.0 ** (step % 40 - 20),
    ],
    ids=["nan", "gap", "inf", "huge", "zero", "wide"],
)
async def test_any_loss_can_be_drawn(
    new_run: NewRun, loss: Callable[[int], float], scale: str
) -> None:
    from tui.widgets.loss_plot import LossPlot

    run = new_run()
    run.train(1, 60, loss)
    run.validate(60, loss(60))
    app = BackpropApp(run.folder)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(app, "step 60/100")
        plot = app.screen.query_one(LossPlot)
        await until(lambda: len(plot._train) == 60)
        if scale == "log":
            await pilot.press("l")
        for key in ["plus", "minus", "0"]:
            await pilot.press(key)
        await pilot.pause()
        await pilot.press("1")
        await until_shown(app, "[1 Runs]", "60/100")


async def test_a_gap_is_a_gap(new_run: NewRun) -> None:
    from tui.widgets.loss_plot import LossPlot

    run = new_run()
    run.train(1, 60, lambda step: math.nan if 20 < step < 40 else 1.0)
    app = BackpropApp(run.folder)
    async with app.run_test(size=(100, 30)):
        await until(lambda: len(app.screen.query_one(LossPlot)._train) == 60)
        drawn = [set(data.x) for data in app.screen.query_one(LossPlot)._datasets]
        assert not any(min(steps) < 30 < max(steps) for steps in drawn)


async def test_log_scale_is_refused_without_positive_losses(new_run: NewRun) -> None:
    run = new_run()
    run.train(1, 9, lambda step: -1.0)
    app = BackpropApp(run.folder)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(app, "step 9/100", "loss -1.0000")
        await pilot.press("l")
        await until_shown(app, "A log scale needs losses above zero")


async def test_gauges_show_what_there_is(new_run: NewRun) -> None:
    run = new_run()
    run.sample(gpus=0)
    app = BackpropApp(run.folder)
    async with app.run_test(size=(100, 40)):
        await until_shown(
            app, "CPU", "42 %", "4.0/16 GiB", "2.0 GiB in this run", "n/a (no driver)"
        )
    run.sample(gpus=2)
    app = BackpropApp(run.folder)
    async with app.run_test(size=(160, 50)):
        await until_shown(app, "GPU 1", "88 %", "79.0/80 GiB !", "61 °C", "512/700 W")


async def test_the_log_holds_still_while_it_is_read_and_can_be_searched(new_run: NewRun) -> None:
    run = new_run().live()
    for number in range(200):
        run.log(f"line {number}")
    run.say(Notice(message="3 rows were dropped", hint="Raise data.max_length."))
    app = BackpropApp(run.folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(app, "WARNING  3 rows were dropped. Raise data.max_length.")
        await pilot.press("g")
        await until_shown(app, "line 0")
        run.log("news")
        await until_shown(app, "1 below", "line 0")
        await pilot.press("G")
        await until_shown(app, "news")
        run.log("more news")
        await until_shown(app, "more news")
        await pilot.press("slash", *"LINE 77", "enter")
        await until_shown(app, "line 77")
        await pilot.press("slash", *"no such line", "enter")
        await until_shown(app, "Nothing in the log")


async def test_a_run_that_is_resumed_is_followed_again(new_run: NewRun) -> None:
    run = new_run()
    run.train(1, 40)
    app = BackpropApp(run.folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(app, "died", "step 40/100")
        run.live().say(Stage(stage="starting"))
        await pilot.press("1")
        await until_shown(app, "running")
        await pilot.press("enter")
        run.train(31, 50)
        await until_shown(app, "[4 Train]", "running", "step 50/100")
