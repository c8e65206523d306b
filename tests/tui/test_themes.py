"""Themes: four, one key, remembered; a broken file costs only itself."""

from pathlib import Path

import pytest

from tests.tui.conftest import WriteRun
from tests.tui.written_runs import notices, opened, screen_text, until
from trainer_core.config.shipped import shipped
from trainer_core.runs.registry import state_folder
from tui import themes

NAMES = ["backprop-dark", "backprop-light", "monochrome", "terminal"]


def test_the_shipped_themes_are_sound() -> None:
    found, problems = themes.load_themes()
    assert [theme.name for theme in found] == NAMES
    assert problems == []


async def test_every_theme_draws_every_screen_and_is_remembered(write_run: WriteRun) -> None:
    run = write_run()
    run.live()
    run.train(1, 20, lambda step: 2 / step)
    async with opened(run) as (app, pilot):
        await until(lambda: "step 20/100" in screen_text(app), "the run")
        assert app.theme == "backprop-dark"
        for name in [*NAMES[1:], NAMES[0], NAMES[1]]:
            await pilot.press("t")
            await until(lambda name=name: app.theme == name, name)
            for key in "174":
                await pilot.press(key)
    async with opened() as (app, _):
        assert app.theme == "backprop-light"


async def test_no_color_means_monochrome_and_forgets_nothing(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    themes.remember_theme("backprop-light")
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened() as (app, pilot):
        await pilot.pause()
        assert app.theme == "monochrome"
    monkeypatch.delenv("NO_COLOR")
    assert themes.chosen_theme() == "backprop-light"


async def test_a_home_that_cannot_be_written_only_forgets(
    write_run: WriteRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    occupied = tmp_path / "a-file"
    occupied.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(occupied))
    async with opened() as (app, pilot):
        await pilot.press("t")
        await until(lambda: app.theme == "backprop-light", "the next theme")
        await pilot.press("7")
        await until(lambda: "CPU" in screen_text(app), "the System screen")


@pytest.mark.parametrize("settings", ["", "[]", '{"theme": 3}', '{"theme": "gone"}', "\x00"])
async def test_broken_settings_mean_the_default(write_run: WriteRun, settings: str) -> None:
    state_folder().mkdir(parents=True)
    (state_folder() / "dashboard.json").write_text(settings)
    async with opened() as (app, _):
        assert app.theme == "backprop-dark"


async def test_a_broken_theme_is_named_and_left_out(
    write_run: WriteRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "themes"
    folder.mkdir()
    for path in shipped("themes").glob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "bad-color.yaml").write_text("name: bad\ncolors: {primary: '[/no color'}\n")
    (folder / "bad-key.yaml").write_text("name: bad\ncolors: {primary: red, nonsense: red}\n")
    (folder / "bad-yaml.yaml").write_text("colors: [")
    (folder / "bad-variables.yaml").write_text("name: b\ncolors: {primary: red}\nvariables: 3\n")
    monkeypatch.setattr(themes, "shipped", lambda name: folder)
    async with opened() as (app, _):
        await until(lambda: len(notices(app)) == 4, "a sentence for each")
        assert app.theme == "backprop-dark"
        assert "bad" not in app.available_themes
