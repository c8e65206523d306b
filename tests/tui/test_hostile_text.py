"""What comes from data, logs and models is shown as text: no markup, no escape sequences."""

from collections.abc import Callable

from tests.tui.written_run import WrittenRun, text_of, until_shown
from trainer_core.runs.events import Failed, Notice, Stage
from tui.app import BackpropApp

HOSTILE = "A[/INST][@click=app.quit]x[/] \x1b]52;c;cGFzdGU=\x07 \x9b31m \u202ebackwards\x00[bold]Z"
SEEN = "A[/INST][@click=app.quit]x[/]"


def harmless(app: BackpropApp) -> None:
    """No control byte or direction mark is on the screen."""
    shown = text_of(app).replace("\n", "")
    assert SEEN in shown
    assert shown.isprintable()
    assert "\u202e" not in shown


async def test_it_is_harmless_everywhere(new_run: Callable[..., WrittenRun]) -> None:
    run = new_run(HOSTILE[:40], model=HOSTILE)
    run.train(1, 5)
    run.log(HOSTILE)
    run.log(HOSTILE, level=HOSTILE)
    run.say(Stage(stage="importing", detail=HOSTILE), Notice(message=HOSTILE, hint=HOSTILE))
    run.answer(HOSTILE, f"{HOSTILE} changed", prompt=HOSTILE)
    app = BackpropApp()
    async with app.run_test(size=(160, 50)) as pilot:
        await until_shown(app, "A[/INST]", "died")
        harmless(app)
        await pilot.press("d")
        await until_shown(app, "Delete it")
        harmless(app)
        await pilot.press("escape", "enter")
        await until_shown(app, "[4 Train]", "importing", "WARNING")
        harmless(app)
        await pilot.press("s")
        await until_shown(app, "before", "changed")
        harmless(app)


async def test_a_hostile_ending_is_harmless(new_run: Callable[..., WrittenRun]) -> None:
    run = new_run()
    run.say(Failed(message=HOSTILE, hint=HOSTILE))
    run.stands("failed")
    app = BackpropApp(run.folder)
    async with app.run_test(size=(160, 50)):
        await until_shown(app, "failed: A[/INST]")
        harmless(app)
