"""After a death the dashboard says why, offers to resume, and follows the run when it goes on."""

import pytest

from tests.tui.conftest import WriteRun
from tests.tui.written_runs import metrics, opened, screen_text, until
from trainer_core.runs.events import Failed, Stage, State
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import RunEntry
from trainer_core.runs.status import ENDED
from tui.screens import resuming
from tui.widgets.ending import Ending


@pytest.mark.parametrize("first", ["4", "1"])
async def test_a_dead_run_is_resumed_by_a_key_and_followed(
    write_run: WriteRun, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run("night")
    run.live()
    run.folder.config.write_text("model: {base: tiny}\n")
    run.train(1, 40, lambda step: 3 / step)
    resumed: list[RunFolder] = []

    def resume(entry: RunEntry) -> int:
        """What a worker would do first."""
        resumed.append(entry.folder)
        run.live()
        run.train(31, 45, lambda step: 2 / step)
        return 0

    monkeypatch.setattr(resuming, "resume_run", resume)
    async with opened(run) as (app, pilot):
        await until(lambda: "step 40/100" in screen_text(app), "the run")
        assert "r Resume" not in screen_text(app)
        checkpoint = run.folder.checkpoints / "step-30"
        checkpoint.mkdir(parents=True)
        (checkpoint / "manifest.json").touch()
        hint = f"What is known of it: {run.folder.black_box}. Go on from step 30: backprop …"
        run.say(Failed(message="the job was killed from outside (SIGKILL)", hint=hint, step=40))
        run.show("failed")
        run.let_go()
        await until(lambda: "r goes on from step 30" in screen_text(app), "the offer")
        assert "killed from outside (SIGKILL)" in screen_text(app)
        assert "black_box.json" in screen_text(app)
        await pilot.press(first)
        await until(lambda: "r Resume" in screen_text(app), "the key")
        await pilot.press("r")
        await until(lambda: "Go on from step 30" in screen_text(app), "the question")
        await pilot.press("down", "enter")
        await until(lambda: "step 45/100" in screen_text(app), "the run that goes on")
        assert resumed == [run.folder]
        assert "r goes on" not in screen_text(app)
        await until(lambda: "r Resume" not in screen_text(app), "no offer any more")


async def test_a_run_without_a_word_is_offered_too(write_run: WriteRun) -> None:
    run = write_run("gone")
    run.folder.config.write_text("model: {base: tiny}\n")
    assert run.status.state not in ENDED
    async with opened(run) as (app, _):
        await until(lambda: "r goes on from the beginning" in screen_text(app), "the offer")
        assert "gone without a word" in screen_text(app)


async def test_what_holds_a_run_up_is_said_where_there_is_little_room(write_run: WriteRun) -> None:
    run = write_run("held")
    run.live()
    why = "step 7: GPU 0 (NVIDIA H200) has 91 °C, its limit is 87 °C; it goes on at 77 °C"
    async with opened(run) as (app, _):
        run.say(metrics(7, 1.0), Stage(stage="paused", detail=why))
        await until(lambda: "goes on at 77 °C" in " ".join(screen_text(app).split()), "the heat")
        run.say(Stage(stage="training"))
        ending = app.screen.query_one(Ending)
        await until(lambda: not ending.has_class("-shown"), "nothing to say")
        view = app.screen._view  # type: ignore[attr-defined]
        view.apply(State(message="the job is suspended (SIGSTOP); kill -CONT lets it go on"))
        await until(lambda: "the job is suspended" in screen_text(app), "that it is suspended")
