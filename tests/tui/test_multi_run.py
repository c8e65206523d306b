"""Train with a multi-run: where it is, its curves, what was forgotten, and undo."""

import pytest

from tests.tui.conftest import WriteRun
from tests.tui.written_multi_runs import begin, end, finish, scores, steps, train_all
from tests.tui.written_runs import notices, opened, screen_text, until
from trainer_core.runs.events import decode
from trainer_core.runs.multi_run_events import Score
from trainer_core.runs.view import RunView
from tui.widgets.forgetting_drift import drift_lines
from tui.widgets.forgetting_matrix import Shown, matrix_lines, shade, short_names
from tui.widgets.loss_plot import LossPlot

FIVE = [f"shard {number}" for number in range(1, 6)]
TWELVE = [f"letters-of-the-year-{2010 + number}-in-full.jsonl" for number in range(12)]


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_train_says_which_run_goes_on_and_shows_it_alone(
    write_run: WriteRun, size: tuple[int, int]
) -> None:
    run = write_run()
    run.live()
    train_all(run, FIVE, 1)
    begin(run, FIVE, 2)
    steps(run, 20, 7, 100)
    async with opened(run, size) as (app, pilot):
        await until(lambda: "run 2 of 5 · shard 2 · step 7 of 20" in screen_text(app), "the run")
        assert "step 27/100" in screen_text(app)
        await until(lambda: "loss over steps" in screen_text(app), "the curves")
        await until(lambda: "run 2" in screen_text(app).split("loss over")[1], "where it begins")
        await pilot.press("o")
        await until(lambda: "loss over run 2" in screen_text(app), "its own curve")
        plot = app.screen.query_one(LossPlot)
        await until(lambda: (plot._x_min, plot._x_max) == (1, 7), "nothing but it")
        await pilot.press("o")
        await until(lambda: "loss over steps" in screen_text(app), "the whole curve")
        await until(lambda: plot._x_max == 27, "all of it")
        steps(run, 27, 13, 100)
        end(run, FIVE, 2)
        begin(run, FIVE, 3)
        await until(lambda: "run 3 of 5 · shard 3 · step 0 of 20" in screen_text(app), "the next")


async def test_a_plain_run_has_none_of_it_and_says_so(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    run.train(1, 30, lambda step: 3 / step)
    async with opened(run) as (app, pilot):
        await until(lambda: "step 30/100" in screen_text(app), "the run")
        assert "Forgetting" not in screen_text(app)
        assert "run 1 of" not in screen_text(app)
        await pilot.press("f", "U", "o")
        await until(lambda: len(notices(app)) == 1, "the notice")
        assert "measured in a multi-run" in notices(app)[0]


async def test_the_matrix_reads_without_colour_and_follows_its_keys(write_run: WriteRun) -> None:
    run = write_run()
    train_all(run, FIVE, 5, arms=("sequential", "joint"))
    finish(run)
    async with opened(run) as (app, pilot):
        await until(lambda: "f Forgetting" in screen_text(app), "the key")
        assert "q Quit" in screen_text(app)
        await pilot.press("f")
        # Just after its own run in brackets; then each shade as the loss grows; better: a plus.
        await until(lambda: "after 5" in screen_text(app), "the matrix")
        last = row(screen_text(app), "after 5")
        assert last == ["1.400█", "1.300█", "1.200▆", "1.100▄", "[1.000]", "3.500+"]
        assert row(screen_text(app), "before") == [*["3.000"] * 5, "4.000"]
        wanted = ["1.10", "(1.04", "to", "1.17)"]
        await until(lambda: row(screen_text(app), "▸merged")[:4] == wanted, "the summary")
        await pilot.press("m")
        await until(lambda: "2.600█" in screen_text(app), "the last fine-tuned")
        await pilot.press("a")
        await until(lambda: "[50.0%]" in screen_text(app), "the accuracy")
        await pilot.press("a", "b")
        await until(lambda: "Forgetting: sequential, loss" in screen_text(app), "a baseline")
        assert row(screen_text(app), "before") == [*["3.000"] * 5, "4.000"]
        await pilot.press("b")
        await until(lambda: row(screen_text(app), "after 1")[0] == "[1.100]", "the other")
        await pilot.press("b", "space")
        words = "merged: forgotten 0.10 nats (0.04 to 0.17) since it was known best"
        await until(lambda: words in screen_text(app), "the summary in words")
        alarms = "! merged 1.49   ! sequential 4.95"
        await until(lambda: alarms in screen_text(app), "the warnings")
        assert "last merge: run 5 (slao)" in screen_text(app)
        assert "layer 0 ▃ 10%" in screen_text(app)
        await pilot.press("escape")
        await until(lambda: "loss over steps" in screen_text(app), "the curves again")
        await pilot.press("escape")
        await until(lambda: "[1 Runs]" in screen_text(app), "the list of runs")


async def test_what_was_scored_last_appears_while_one_looks_on(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    run.say(scores(0, FIVE))
    async with opened(run, (160, 50)) as (app, pilot):
        await until(lambda: "f Forgetting" in screen_text(app), "the key")
        await pilot.press("f")
        await until(lambda: "before" in screen_text(app), "what was known before")
        assert "loss over steps" in screen_text(app)
        begin(run, FIVE, 1)
        end(run, FIVE, 1)
        await until(lambda: "after 1" in screen_text(app), "what is known now")
        await until(lambda: "which no merge was before" in screen_text(app), "its merge")


async def test_a_multi_run_that_is_not_scored_says_so(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    begin(run, FIVE, 1)
    async with opened(run) as (app, pilot):
        await until(lambda: "f Forgetting" in screen_text(app), "the key")
        await pilot.press("f")
        await until(lambda: "Nothing is scored yet" in screen_text(app), "why")


async def test_every_slice_can_be_reached_in_80_columns_of_ascii(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("NO_COLOR", "1")
    run = write_run()
    train_all(run, TWELVE, 12, layers=80)
    async with opened(run) as (app, pilot):
        await until(lambda: "f Forgetting" in screen_text(app), "the key")
        await pilot.press("f")
        seen: set[str] = set()
        for _ in range(7):
            await until(lambda: "after 9" in screen_text(app), "the matrix")
            lines = screen_text(app).split("\n")
            title = next(place for place, line in enumerate(lines) if "Forgetting: " in line)
            seen |= {word.strip(".") for word in lines[title + 1].split()}
            await pilot.press("right")
            await pilot.pause()
        assert {str(number) for number in range(10, 22)} | {"general"} <= seen
        await pilot.press("pagedown")
        await until(lambda: "slices 7 to 13 of 13" in screen_text(app), "which they are")
        await pilot.press("left", "left")
        await until(lambda: "slices 5 to 11 of 13" in screen_text(app), "back")
        assert screen_text(app).isascii()


async def test_the_last_merge_is_undone_when_the_run_is_over(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    train_all(run, FIVE, 3)
    async with opened(run, (100, 40)) as (app, pilot):
        await until(lambda: "f Forgetting" in screen_text(app), "the key")
        await pilot.press("f")
        await until(lambda: "U undo merge 3" in screen_text(app), "the way")
        await pilot.press("U")
        await until(lambda: "Undo the merge of run 3?" in screen_text(app), "the question")
        await pilot.press("enter")
        await until(lambda: "Undo the merge of run 3?" not in screen_text(app), "nothing done")
        await pilot.press("U", "down", "enter")
        await until(lambda: any("goes on" in notice for notice in notices(app)), "why not")
        assert "undone 3" not in screen_text(app)

        finish(run)
        await until(lambda: "finished after" in screen_text(app), "the end")
        await pilot.press("U", "down", "enter")
        await until(lambda: "undone 3" in screen_text(app), "the mark")
        await until(lambda: "last merge: run 2" in screen_text(app), "the merge that stands")
        assert "after 2" in screen_text(app)
        assert (run.folder.adapter / "last" / "weights").read_text() == "merged 2"
        await pilot.press("U", "down", "enter")
        await until(lambda: "undone 2" in screen_text(app), "the one before")
        await until(lambda: "U undo" not in screen_text(app), "nothing more to undo")
        await pilot.press("U", "down", "enter")
        await until(lambda: any("nly run 1" in notice for notice in notices(app)), "the last one")
    async with opened(run, (100, 40)) as (app, pilot):
        await until(lambda: "f Forgetting" in screen_text(app), "the run, opened again")
        await pilot.press("f")
        await until(lambda: "undone 2" in screen_text(app), "what was undone")


async def test_the_view_survives_any_size(write_run: WriteRun) -> None:
    run = write_run()
    train_all(run, TWELVE, 3, layers=80, arms=("joint",))
    async with opened(run) as (app, pilot):
        await until(lambda: "f Forgetting" in screen_text(app), "the key")
        await pilot.press("f")
        for width, height in ((1, 1), (2, 60), (20, 5), (200, 60), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.press("right", "b")
        await until(lambda: "Forgetting: " in screen_text(app), "the view, whole again")


async def test_train_draws_without_colours(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run()
    run.train(1, 5, lambda step: 1.0)
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(run) as (app, _):
        await until(lambda: "step 5/100" in screen_text(app), "the run")


def test_names_keep_what_tells_them_apart() -> None:
    assert short_names([*TWELVE[:2], "general"], 8) == ["…0…", "…1…", "general"]
    assert short_names(["a long way to the end"], 9) == ["a lo… end"]
    assert short_names(["日本語の長い名前"], 7) == ["日 … 前"]


@pytest.mark.parametrize(
    ("loss", "sign"), [(0.9, "+"), (1.01, " "), (1.02, "▂"), (1.1, "▄"), (1.15, "▆"), (9.0, "█")]
)
def test_a_shade_for_each_loss(loss: float, sign: str) -> None:
    own = Score(loss=1.0, accuracy=0.5)
    assert shade(Score(loss=loss, accuracy=0.5), own, "loss")[0] == sign
    assert shade(Score(loss=float("nan"), accuracy=0.5), own, "loss")[0] == " "


def test_every_layer_has_its_bar_and_no_line_is_too_wide(write_run: WriteRun) -> None:
    run = write_run()
    train_all(run, TWELVE, 2, layers=80)
    view = RunView()
    for line in run.folder.events.read_bytes().splitlines():
        view.apply(decode(line))
    for width in (40, 78, 158):
        lines = drift_lines(view, "", width)
        assert sum(sum(char in "▁▂▃▄▅▆▇█" for char in line.plain) for line in lines) == 80
        lines += matrix_lines(view, Shown(column=4), width)
        assert max(line.cell_len for line in lines) <= width


def row(screen: str, label: str) -> list[str]:
    """The cells of the line that begins with `label`."""
    lines = [line.strip() for line in screen.split("\n")]
    return next((x.removeprefix(label).split() for x in lines if x.startswith(label)), [""])
