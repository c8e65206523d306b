"""Text from outside is text: it neither commands the terminal nor the app, nor crashes it."""

import pytest

from tests.faults.how_many import some
from tests.tui.conftest import WriteRun
from tests.tui.written_runs import notices, opened, screen_text, until
from trainer_core.runs.events import Answer, Failed, Log, Notice, Progress, Samples, Stage

HOSTILE = [
    "[/INST] [bold",
    "[@click=app.quit]x[/]",
    "\x1b]52;c;x\x07",
    "\x9b31m",
    "\u202egnp.exe",
    "\x1b[2J\x00\x07\r\n\t",
]
FORBIDDEN = set("\x00\x07\x1b\x9b\u202e")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("size", some([(80, 24), (160, 50)], 2))
async def test_hostile_text_stays_text(
    write_run: WriteRun, text: str, size: tuple[int, int]
) -> None:
    run = write_run(f"name {text}", model=f"model {text}")
    run.live()
    run.say(
        Stage(stage=f"stage {text}", detail=text),
        Progress(stage="x", done=1, total=2, unit=text),
        Log(level=f"INFO{text}", message=f"log {text} end", logger=text),
        Notice(message=f"notice {text}", hint=text),
        Samples(when="before", step=0, answers=[Answer(prompt=f"ask {text}", answer=text)]),
    )
    async with opened(run, size) as (app, pilot):
        await until(lambda: "notice" in screen_text(app), "the log")
        assert not FORBIDDEN & set(screen_text(app))
        await pilot.press("s")
        await until(lambda: "ask" in screen_text(app), "the answers")
        assert not FORBIDDEN & set(screen_text(app))
        run.say(Failed(message=f"because {text}", hint=text))
        await until(lambda: "because" in screen_text(app), "the end")
        assert not FORBIDDEN & set(screen_text(app))
        await pilot.press("1")
        await until(lambda: "name" in screen_text(app), "the list")
        assert not FORBIDDEN & set(screen_text(app))
        await pilot.press("d")
        await until(lambda: "Delete it" in screen_text(app), "the question")
        assert not FORBIDDEN & set(screen_text(app))
        await pilot.press("down", "enter")
        await until(lambda: any("still running" in n for n in notices(app)), "the refusal")
        assert not FORBIDDEN & set(screen_text(app))
