"""A terminal that shows ASCII only gets ASCII only, and the columns stay where they are."""

import pytest
from rich.cells import cell_len

from tests.tui.conftest import WriteRun
from tests.tui.written_runs import opened, screen_text, until
from tui.plain import in_ascii, shows_unicode


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({}, True),
        ({"LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "pt_BR.utf8", "LANG": "C"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "TERM": "linux"}, False),
    ],
)
def test_what_the_terminal_shows(environment: dict[str, str], shown: bool) -> None:
    assert shows_unicode(environment) is shown


@pytest.mark.parametrize("text", ["▶ é…", "┏━┓┃░█", "日本語 ⣿⠁", "e\u0301 and 👍🏽", "plain"])
def test_as_wide_as_it_was(text: str) -> None:
    assert in_ascii(text).isascii()
    assert len(in_ascii(text)) == cell_len(text)


def test_the_words_stay_words() -> None:
    assert in_ascii("✔ finished  naïve") == "+ finished  naive"


async def test_no_other_character_reaches_the_terminal(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    run = write_run("naïve", model="модель/日本")
    run.train(1, 30, lambda step: 3 / step)
    async with opened() as (app, pilot):
        await until(lambda: "x died" in screen_text(app), "the list")
        assert screen_text(app).isascii()
        await pilot.press("enter")
        await until(lambda: "step 30/100" in screen_text(app), "the Train screen")
        assert screen_text(app).isascii()
