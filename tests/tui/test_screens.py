"""The shell: every screen by one key, at every size, and out again."""

import sys
from subprocess import run as run_process

import pytest

from tests.tui.conftest import WriteRun
from tests.tui.written_runs import opened, screen_text, until
from trainer_core.runs.events import Stage

MARKS = ["[1 Runs]", "[2 Config]", "[3 Data]", "[4 Train]", "[5 Export]", "[6 Try]", "[7 System]"]


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_every_screen_is_one_key_away(write_run: WriteRun, size: tuple[int, int]) -> None:
    async with opened(size=size) as (app, pilot):
        for start in "1234567" if size == (80, 24) else "1":
            for key in "1234567":
                await pilot.press(start, key)
                mark = MARKS[int(key) - 1]
                await until(lambda mark=mark: mark in screen_text(app), mark)


async def test_escape_goes_home_and_q_quits(write_run: WriteRun) -> None:
    async with opened() as (app, pilot):
        await pilot.press("7", "escape")
        await until(lambda: MARKS[0] in screen_text(app), "the Runs screen")
        await pilot.press("q")
        await until(lambda: app._exit, "the exit")


async def test_the_system_screen_says_why_there_is_no_gpu_or_shows_it(write_run: WriteRun) -> None:
    async with opened() as (app, pilot):
        await pilot.press("7")
        await until(lambda: "CPU" in screen_text(app) and "GPU" in screen_text(app), "the machine")


async def test_help_lists_the_keys_of_the_screen(write_run: WriteRun) -> None:
    async with opened(size=(80, 50)) as (app, pilot):
        await pilot.press("4")
        await until(lambda: MARKS[3] in screen_text(app), "the Train screen")
        await pilot.press("question_mark")
        await until(lambda: "Save and end the run" in screen_text(app), "the help")
        await pilot.press("4")
        assert "Save and end the run" in screen_text(app)
        await pilot.press("escape")
        await until(lambda: "Save and end the run" not in screen_text(app), "the screen again")


@pytest.mark.parametrize("key", list("1234567"))
async def test_any_size_is_survived(write_run: WriteRun, key: str) -> None:
    run = write_run()
    run.live()
    run.train(1, 30, lambda step: 3 / step)
    async with opened(run) as (app, pilot):
        await pilot.press(key)
        for width, height in ((1, 1), (300, 100), (2, 60), (200, 2), (80, 24)):
            run.say(Stage(stage="training", detail=f"{width}x{height}"))
            await pilot.resize_terminal(width, height)
            await pilot.pause()
        await until(lambda: MARKS[int(key) - 1] in screen_text(app), "the screen, whole again")


def test_the_first_frame_needs_no_numpy_and_no_plots() -> None:
    heavy = ["numpy", "textual_plot", "torch", "pynvml"]
    code = f"import sys, tui.app; print([m for m in {heavy} if m in sys.modules])"
    done = run_process([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
