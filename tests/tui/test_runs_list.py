"""Runs: newest first, still under the cursor when it changes, and deleted only when asked."""

import time

from textual.widgets import DataTable, Input

from tests.tui.conftest import WriteRun
from tests.tui.written_runs import notices, opened, screen_text, until
from trainer_core.runs.status import write_status


async def test_no_runs_yet(write_run: WriteRun) -> None:
    async with opened() as (app, _):
        await until(lambda: "No runs yet. Start one: backprop demo" in screen_text(app), "the hint")


async def test_newest_first_and_the_cursor_stays_on_its_run(write_run: WriteRun) -> None:
    now = time.time()
    old, middle = write_run("old", created=now - 500), write_run("middle", created=now - 400)
    old.train(1, 9, lambda step: 3 / step)
    async with opened() as (app, pilot):
        await until(lambda: "middle" in screen_text(app), "the runs")
        assert screen_text(app).index("middle") < screen_text(app).index("old")
        await pilot.press("down")
        write_run("new", created=now)
        await until(lambda: "new" in screen_text(app), "the new run")
        table = app.screen.query_one(DataTable)
        assert str(table.get_row_at(table.cursor_row)[1]) == "old"
        middle.status.loss = 1.25
        write_status(middle.folder, middle.status)
        await until(lambda: "1.2500" in screen_text(app), "the loss of the middle run")
        await pilot.press("enter")
        await until(lambda: "[4 Train]" in screen_text(app), "the Train screen")
        await until(lambda: "step 9/100" in screen_text(app), "the old run on it")


async def test_a_run_without_a_process_died(write_run: WriteRun) -> None:
    write_run("gone")
    async with opened() as (app, _):
        await until(lambda: "✖ died" in screen_text(app), "the state")


async def test_delete_asks_and_keeping_is_the_first_answer(write_run: WriteRun) -> None:
    run = write_run("doomed")
    async with opened() as (app, pilot):
        await until(lambda: "doomed" in screen_text(app), "the run")
        await pilot.press("d")
        await until(lambda: "Delete it" in screen_text(app), "the question")
        await pilot.press("enter")
        await until(lambda: "Delete it" not in screen_text(app), "the list again")
        assert run.folder.exists()
        await pilot.press("d")
        await until(lambda: "Delete it" in screen_text(app), "the question")
        await pilot.press("down", "enter")
        await until(lambda: not run.folder.path.exists(), "the end of the folder")
        await until(lambda: "No runs yet" in screen_text(app), "the empty list")


async def test_a_living_run_is_not_deleted(write_run: WriteRun) -> None:
    run = write_run("alive")
    run.live()
    async with opened() as (app, pilot):
        await until(lambda: "alive" in screen_text(app), "the run")
        await pilot.press("d")
        await until(lambda: "Delete it" in screen_text(app), "the question")
        await pilot.press("down", "enter")
        await until(lambda: any("still running" in n for n in notices(app)), "the refusal")
        assert run.folder.exists()


async def test_the_filter_shows_some_and_lets_go(write_run: WriteRun) -> None:
    write_run("apple")
    write_run("pear")
    async with opened() as (app, pilot):
        await until(lambda: "apple" in screen_text(app), "the runs")
        await pilot.press("slash", *"pea")
        await until(lambda: "apple" not in screen_text(app), "only the pear")
        assert "pear" in screen_text(app)
        await pilot.press("1")
        assert app.screen.query_one(Input).value == "pea1"
        await pilot.press("escape")
        await until(lambda: "apple" in screen_text(app), "both again")
