"""The Config screen: form and YAML in step, mistakes at their fields, files, presets, the start."""

import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rich.cells import cell_len
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from tests.faults.how_many import some
from tests.tui.conftest import WriteRun
from tests.tui.test_hostile_text import FORBIDDEN, HOSTILE
from tests.tui.written_runs import notices, opened, screen_text, text_of, until
from trainer_core.config.form import form_fields
from trainer_core.config.load import load_config
from trainer_core.planning.draft import Draft
from trainer_core.planning.fitting import MemoryPlan
from trainer_core.runs.status import read_status
from tui.app import BackpropApp
from tui.config_rows import FormRow
from tui.config_session import ConfigSession
from tui.screens.config import ConfigScreen
from tui.widgets.config_form import ConfigForm
from tui.widgets.form_rows import FormRows, row_lines
from tui.widgets.memory_bar import memory_text
from tui.widgets.yaml_pane import YamlPane

CONFIG = """\
# What this run is for.
model:
  base: {base} # the model
data:
  train: rows.jsonl   # forty rows

training:
  steps: 5 # few
  # batch_size: 4
  sample_prompts: # asked at the end
    - Who?
"""
WIDE = (160, 50)


@pytest.fixture(autouse=True)
def own_home(write_run: WriteRun) -> None:
    """No test sees the user's theme."""


@pytest.fixture
def file(tmp_path: Path, demo: Path) -> Path:
    """A valid config beside its data."""
    (tmp_path / "rows.jsonl").write_text('{"question": "q", "answer": "a"}\n' * 40)
    path = tmp_path / "run.yaml"
    path.write_text(CONFIG.format(base=demo / "base"))
    return path


@asynccontextmanager
async def editing(
    file: Path | None, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[BackpropApp, "Pilot[None]"]]:
    """The dashboard on the Config screen, with a file open, or a new config."""
    app = BackpropApp(config=str(file) if file is not None else "")
    async with app.run_test(size=size) as pilot:
        if file is None:
            await pilot.press("2")
        await until(lambda: isinstance(app.screen, ConfigScreen), "the screen")
        await until(lambda: not file or file.name in text_of(app, "#head"), "the file")
        yield app, pilot


def session_text(app: BackpropApp) -> str:
    screen = config_screen(app)
    return screen.session.text


def config_screen(app: BackpropApp) -> ConfigScreen:
    return next(screen for screen in app.screen_stack if isinstance(screen, ConfigScreen))


def yaml_text(app: BackpropApp) -> str:
    return app.screen.query_one(YamlPane).text


def cursor(app: BackpropApp) -> str:
    row = app.screen.query_one(FormRows).row
    return row.key if row is not None else ""


def go(app: BackpropApp, name: str) -> None:
    """To a field, by its name."""
    app.screen.query_one(ConfigForm).go(name)
    assert cursor(app) == name


async def answer(app: BackpropApp, pilot: "Pilot[None]", text: str) -> None:
    """Type into the line that is open, all at once."""
    line = app.screen.focused
    assert isinstance(line, Input)
    line.value = text
    await pilot.press("enter")


# --- form and YAML -------------------------------------------------------------------------------


async def test_a_new_config_says_what_is_missing_and_is_filled_in(file: Path, demo: Path) -> None:
    async with editing(None, (120, 40)) as (app, pilot):
        assert "✖ 2 to mend" in text_of(app, "#head")
        assert "model.base is missing" in screen_text(app)
        assert cursor(app) == "model.base"
        await pilot.press("enter")
        await answer(app, pilot, str(demo / "base"))
        await until(lambda: "✖ 1 to mend" in text_of(app, "#head"), "one less")
        await pilot.press("n", "enter")
        await answer(app, pilot, str(file.with_name("rows.jsonl")))
        await until(lambda: "to mend" not in text_of(app, "#head"), "nothing wrong")
        await until(lambda: " of " in memory(app), "the plan")
        assert f"base: {demo / 'base'} # a folder" in session_text(app)
        assert "not saved" in text_of(app, "#head")


def memory(app: BackpropApp) -> str:
    return text_of(app, "#memory")


@pytest.mark.parametrize("size", [(80, 24), WIDE])
async def test_an_edit_in_the_form_changes_the_yaml_and_no_comment(
    file: Path, size: tuple[int, int]
) -> None:
    before = file.read_text()
    async with editing(file, size) as (app, pilot):
        go(app, "training.steps")
        await pilot.press("enter", *"25", "enter")
        await until(lambda: "steps: 25" in yaml_text(app), "the YAML")
        assert yaml_text(app) == before.replace("steps: 5 #", "steps: 25 #")
        go(app, "training.seed")
        await pilot.press("enter", *"8", "enter")
        await until(lambda: "seed: 8" in yaml_text(app), "a new field")
        assert "    - Who?\n  seed: 8\n" in session_text(app)
        await pilot.press("d")
        await until(lambda: "seed" not in yaml_text(app), "its default")
        assert yaml_text(app) == before.replace("steps: 5 #", "steps: 25 #")


async def test_what_is_typed_in_the_yaml_changes_the_form(file: Path) -> None:
    async with editing(file, WIDE) as (app, pilot):
        await pilot.press("tab")
        yaml = app.screen.query_one(YamlPane)
        yaml.move_cursor((7, len("  steps: 5")))
        await until(lambda: cursor(app) == "training.steps", "the field of that line")
        await pilot.press("0")
        await until(lambda: "steps                   50 " in screen_text(app), "the form")
        yaml.move_cursor((7, len("  steps: 50 # few")))
        await pilot.press("enter", *"epochs: 2")
        await until(lambda: "set either steps or epochs" in screen_text(app), "the mistake")
        assert "  steps: 50 # few\n  epochs: 2\n" in session_text(app)
        await pilot.press("escape")
        assert app.screen.query_one(FormRows).has_focus


async def test_broken_yaml_is_said_with_its_line_and_the_form_stays(file: Path) -> None:
    async with editing(file, WIDE) as (app, pilot):
        await pilot.press("tab")
        app.screen.query_one(YamlPane).move_cursor((7, len("  steps: 5")))
        await pilot.press(*": x")
        await until(lambda: "run.yaml:8: not valid YAML" in text_of(app, "#broken"), "the line")
        assert "broken YAML" in text_of(app, "#head")
        assert "8✖" in screen_text(app)
        assert "no plan while" in memory(app)
        assert "steps                   5 " in screen_text(app)
        await pilot.press("escape")
        go(app, "training.seed")
        await pilot.press("enter", "1", "enter")
        await until(lambda: any("YAML is broken" in said for said in notices(app)), "why not")
        await pilot.press("n")
        yaml = app.screen.query_one(YamlPane)
        assert yaml.has_focus
        assert yaml.cursor_location[0] == 7
        await pilot.press("end", *["left"] * len(" # few"), *["backspace"] * 3)
        await until(lambda: not text_of(app, "#broken"), "whole again")
        assert session_text(app) == file.read_text()


async def test_mistakes_stand_at_their_fields_and_n_goes_there(file: Path) -> None:
    file.write_text(file.read_text() + "lora: {dropout: 3}\nlogging: {level: LOUD}\nrnu: {}\n")
    async with editing(file) as (app, pilot):
        await until(lambda: "✖ 3 to mend" in text_of(app, "#head"), "the count")
        assert "rnu is not a known field" in screen_text(app)
        found = []
        for _ in range(3):
            await pilot.press("n")
            await pilot.pause()
            found.append(cursor(app))
        assert sorted(found) == ["", "logging.level", "lora.dropout"]
        go(app, "lora.dropout")
        await until(lambda: "lora.dropout: should be less than 1" in screen_text(app), "it")
        await pilot.press("enter", "0", "enter")
        await until(lambda: "✖ 2 to mend" in text_of(app, "#head"), "one less")
        go(app, "logging.level")
        await until(lambda: "Did you mean" in screen_text(app) or "LOUD" in screen_text(app), "it")
        await pilot.press("space")
        await until(lambda: "✖ 1 to mend" in text_of(app, "#head"), "one less")


async def test_choices_are_cycled_and_chosen(file: Path) -> None:
    async with editing(file) as (app, pilot):
        go(app, "training.scheduler")
        for key, value in (("space", "cosine"), ("right", "constant"), ("left", "cosine")):
            await pilot.press(key)
            await until(lambda value=value: f"scheduler: {value}" in session_text(app), value)
        await pilot.press("enter")
        await until(lambda: "inverse_sqrt" in screen_text(app), "the list")
        await pilot.press("j", "j", "enter")
        await until(lambda: "scheduler: polynomial" in session_text(app), "the choice")
        await pilot.press("enter", "escape")
        await pilot.pause()
        assert "scheduler: polynomial" in session_text(app)
        go(app, "lora.rslora")
        await pilot.press("space")
        await until(lambda: "rslora: true" in session_text(app), "a switch")
        await pilot.press("d")
        await until(lambda: "rslora" not in session_text(app), "its default")


async def test_a_list_is_edited_as_it_is_written(file: Path) -> None:
    async with editing(file) as (app, pilot):
        go(app, "training.sample_prompts")
        await pilot.press("enter")
        assert app.screen.query_one("#entry", Input).value == "['Who?']"
        await pilot.press("end", "left", *", Why", "enter")
        await until(lambda: "    - Who?\n    - Why\n" in session_text(app), "the YAML")
        assert "# asked at the end" in session_text(app)
        await pilot.press("enter", *"[broken", "enter")
        await until(lambda: any("not valid YAML" in said for said in notices(app)), "why not")


async def test_an_entry_that_is_left_changes_nothing(file: Path) -> None:
    async with editing(file) as (app, pilot):
        before = session_text(app)
        go(app, "training.steps")
        await pilot.press("enter", *"99", "escape")
        await pilot.press("enter", "enter")
        await pilot.press("j", "k")
        assert session_text(app) == before
        assert cursor(app) == "training.steps"


async def test_keys_typed_in_one_go_are_all_taken(file: Path) -> None:
    async with editing(file) as (app, _):
        go(app, "training.steps")
        for key, character in [("enter", "\r"), ("7", "7"), ("7", "7"), ("enter", "\r")]:
            app.post_message(Key(key, character))
        await until(lambda: "steps: 77 # few" in session_text(app), "the value")


async def test_undo_and_redo_across_form_and_yaml(file: Path) -> None:
    async with editing(file, WIDE) as (app, pilot):
        first = session_text(app)
        go(app, "training.steps")
        await pilot.press("enter", *"25", "enter")
        await until(lambda: "steps: 25" in session_text(app), "the change")
        second = session_text(app)
        await pilot.press("tab")
        app.screen.query_one(YamlPane).move_cursor((0, 0))
        await pilot.press(*"# first")
        await until(lambda: "# first# What" in session_text(app), "what was typed")
        await pilot.press("ctrl+z")
        await until(lambda: yaml_text(app) == second, "all that was typed is undone")
        await pilot.press("escape", "u")
        await until(lambda: yaml_text(app) == first, "the change of the form is undone")
        await pilot.press("u")
        await until(lambda: any("nothing to undo" in said for said in notices(app)), "the end")
        await pilot.press("U", "ctrl+y")
        await until(lambda: "# first# What" in yaml_text(app), "both again")


async def test_find_shows_fields_by_name_or_purpose(file: Path) -> None:
    async with editing(file) as (app, pilot):
        await pilot.press("slash", *"shrink")
        await until(lambda: cursor(app) == "training.weight_decay", "by its description")
        assert "  steps " not in screen_text(app)
        await pilot.press("enter", "enter", *"0.5", "enter")
        await until(lambda: "weight_decay: 0.5" in session_text(app), "the change")
        await pilot.press("escape")
        await until(lambda: "  steps " in screen_text(app) or "▾ " in screen_text(app), "all")
        assert cursor(app) == "training.weight_decay"
        await until(lambda: "weight_decay " in screen_text(app), "the field, in sight")
        await pilot.press("slash", *"no such thing", "enter")
        await pilot.press("j", "enter", "space", "d", "n")


async def test_sections_open_and_close(file: Path) -> None:
    async with editing(file) as (app, pilot):
        await pilot.press("g", "J")
        await until(lambda: cursor(app) == "run", "the first section")
        await pilot.press("right")
        await until(lambda: "folder" in screen_text(app), "its fields")
        await pilot.press("left")
        await until(lambda: "folder  " not in screen_text(app), "closed")
        await pilot.press("G")
        await until(lambda: cursor(app) == "logging", "the last row")
        await pilot.press("K", "enter", "j", "pageup", "pagedown", "g", "k")
        await until(lambda: cursor(app) == "preset", "the first row")


async def test_one_pane_at_a_time_where_it_is_narrow(file: Path) -> None:
    async with editing(file) as (app, pilot):
        assert "[form] yaml plan" in text_of(app, "#head")
        assert "# forty rows" not in screen_text(app)
        await pilot.press("tab")
        await until(lambda: "# forty rows" in screen_text(app), "the YAML")
        await pilot.press("tab", "v")
        await until(lambda: "training.epochs" in screen_text(app), "the plan")
        await pilot.press("j", "down", "v")
        await until(lambda: "[form] yaml plan" in text_of(app, "#head"), "the form again")
        await pilot.press("v", "escape")
        await until(lambda: "[form] yaml plan" in text_of(app, "#head"), "the form again")
        await pilot.press("escape")
        await until(lambda: "[1 Runs]" in screen_text(app), "the runs")


# --- the plan ------------------------------------------------------------------------------------


async def test_plan_and_memory_follow_what_is_typed(file: Path) -> None:
    async with editing(file, WIDE) as (app, pilot):
        await until(lambda: "epochs, from a look" in screen_text(app), "the plan")
        assert "training.batch_size" in screen_text(app)
        before = memory(app)
        assert "W weights" in before
        go(app, "lora.rank")
        await until(lambda: "planned:" in screen_text(app), "why the rank is what it is")
        await pilot.press("enter", *"1024", "enter")
        await until(lambda: memory(app) != before, "the cost of it")


async def test_what_does_not_fit_asks_before_it_is_started(file: Path) -> None:
    file.write_text(file.read_text() + "safety: {memory_limit: 0.01}\n")
    async with editing(file, WIDE) as (app, pilot):
        await until(lambda: "too much" in memory(app), "that it does not fit")
        await pilot.press("r")
        await until(lambda: "It will not fit" in screen_text(app), "the question")
        await pilot.press("enter")
        await until(lambda: "It will not fit" not in screen_text(app), "back")
        assert not list(file.parent.glob("runs/*"))


async def test_data_that_is_not_there_is_said(file: Path) -> None:
    file.write_text(file.read_text().replace("rows.jsonl", "gone.jsonl"))
    async with editing(file, WIDE) as (app, _):
        await until(lambda: "! train" in screen_text(app), "the mark at the field")
        assert "as if for a thousand" in screen_text(app)


# --- presets -------------------------------------------------------------------------------------


async def test_a_preset_is_chosen_and_left_out(file: Path) -> None:
    async with editing(None, WIDE) as (app, pilot):
        await pilot.press("P")
        await until(lambda: "Qwen 3 8B" in screen_text(app), "the list")
        await pilot.press("down")
        await until(lambda: "quality: " in screen_text(app), "what it is good for")
        await pilot.press("enter")
        await until(lambda: "preset: " in session_text(app), "the YAML")
        name = config_screen(app).session.presets[0]
        await until(lambda: "preset" in screen_text(app), "where its values come from")
        go(app, "model.base")
        await until(lambda: f"from the preset {name}" in screen_text(app), "which one")
        await pilot.press("P")
        await until(lambda: "✔" in screen_text(app), "the mark")
        await pilot.press("enter")
        await until(lambda: "preset" not in session_text(app), "gone")
        await pilot.press("u", "u")
        await until(lambda: "# a folder with a model" in session_text(app), "as it was")


# --- files ---------------------------------------------------------------------------------------


async def test_save_and_open_again(file: Path) -> None:
    before = file.read_text()
    async with editing(file) as (app, pilot):
        go(app, "training.steps")
        await pilot.press("enter", *"25", "enter")
        await until(lambda: "not saved" in text_of(app, "#head"), "that it waits")
        await pilot.press("w")
        await until(lambda: "not saved" not in text_of(app, "#head"), "that it is saved")
        assert file.read_text() == before.replace("steps: 5 #", "steps: 25 #")
        await pilot.press("N")
        await until(lambda: "new config" in text_of(app, "#head"), "a new one")
        await pilot.press("o")
        await answer(app, pilot, str(file))
        await until(lambda: "steps: 25" in yaml_text(app), "the file again")
        await pilot.press("q")
        await until(lambda: app._exit, "the exit, without a question")


async def test_save_as_asks_before_it_replaces(file: Path) -> None:
    other = file.with_name("other.yaml")
    other.write_text("mine: 1\n")
    async with editing(file) as (app, pilot):
        await pilot.press("S")
        assert app.screen.query_one("#ask", Input).value == str(file)
        await answer(app, pilot, str(other))
        await until(lambda: "exists" in screen_text(app), "the question")
        await pilot.press("enter")
        await pilot.pause()
        assert other.read_text() == "mine: 1\n"
        await pilot.press("S")
        await answer(app, pilot, str(other))
        await until(lambda: "exists" in screen_text(app), "the question")
        await pilot.press("down", "enter")
        await until(lambda: other.read_text() == session_text(app), "the file")
        await until(lambda: "other.yaml" in text_of(app, "#head"), "its name")


async def test_a_new_config_is_saved_where_it_is_said(file: Path) -> None:
    path = file.with_name("new.yaml")
    async with editing(None) as (app, pilot):
        await pilot.press("ctrl+s")
        await until(lambda: app.screen.query_one("#ask", Input).has_focus, "the question")
        await answer(app, pilot, str(path))
        await until(path.exists, "the file")
        await until(lambda: any("2 still to mend" in said for said in notices(app)), "what lacks")


async def test_what_somebody_else_wrote_is_not_replaced_unasked(file: Path) -> None:
    async with editing(file) as (app, pilot):
        go(app, "training.steps")
        await pilot.press("enter", *"25", "enter")
        file.write_text("theirs: 1\n")
        await pilot.press("w")
        await until(lambda: "changed by somebody else" in screen_text(app), "the question")
        await pilot.press("escape")
        await pilot.pause()
        assert file.read_text() == "theirs: 1\n"


async def test_leaving_asks_what_becomes_of_changes(file: Path) -> None:
    async with editing(file) as (app, pilot):
        go(app, "training.steps")
        await pilot.press("enter", *"25", "enter")
        await until(lambda: "not saved" in text_of(app, "#head"), "that it waits")
        await pilot.press("3", "1")
        await until(lambda: "[1 Runs]" in screen_text(app), "another screen")
        await pilot.press("q")
        await until(lambda: "not saved" in screen_text(app), "the question")
        await pilot.press("enter", "2")
        await until(lambda: "steps: 25" in session_text(app), "the change, still there")
        assert not app._exit
        await pilot.press("q", "down", "enter")
        await until(lambda: app._exit, "the exit")
        assert "steps: 25" in file.read_text()


async def test_opening_another_config_asks_too(file: Path) -> None:
    other = file.with_name("other.yaml")
    other.write_text(file.read_text().replace("steps: 5", "steps: 6"))
    async with editing(file) as (app, pilot):
        go(app, "training.steps")
        await pilot.press("enter", *"25", "enter")
        await pilot.press("o")
        await answer(app, pilot, str(other))
        await until(lambda: "not saved" in screen_text(app), "the question")
        await pilot.press("down", "down", "enter")
        await until(lambda: "steps: 6" in yaml_text(app), "the other")
        assert "steps: 5 " in file.read_text()
        await pilot.press("o")
        await answer(app, pilot, str(file.with_name("gone.yaml")))
        await until(lambda: any("does not exist" in said for said in notices(app)), "why not")
        assert "steps: 6" in yaml_text(app)


async def test_the_config_of_the_run_that_is_open_is_copied_from(
    file: Path, write_run: WriteRun
) -> None:
    run = write_run()
    run.folder.config.write_bytes(file.read_bytes())
    async with opened(run) as (app, pilot):
        await pilot.press("2")
        await until(lambda: "a copy" in text_of(app, "#head"), "its config")
        go(app, "training.steps")
        await pilot.press("enter", *"25", "enter", "w")
        await until(lambda: app.screen.query_one("#ask", Input).has_focus, "the question")
        await answer(app, pilot, str(file.with_name("copy.yaml")))
        await until(file.with_name("copy.yaml").exists, "the file")
        assert run.folder.config.read_bytes() == file.read_bytes()


async def test_changes_stay_when_a_run_is_opened(file: Path, write_run: WriteRun) -> None:
    run = write_run()
    run.folder.config.write_bytes(file.read_bytes())
    async with editing(file) as (app, pilot):
        go(app, "training.steps")
        await pilot.press("enter", *"25", "enter")
        await until(lambda: "steps: 25" in session_text(app), "the change")
        app.open_run(run.folder)
        await until(lambda: "[4 Train]" in screen_text(app), "the run")
        await pilot.press("2")
        await until(lambda: "[2 Config]" in screen_text(app), "the config")
        assert "steps: 25" in session_text(app)
        assert any("changes are kept" in said for said in notices(app))


# --- check and start -----------------------------------------------------------------------------


async def test_check_says_what_a_start_would(file: Path) -> None:
    async with editing(file, WIDE) as (app, pilot):
        await pilot.press("c")
        await until(lambda: any("Checked" in said for said in notices(app)), "that it is right")
        file.with_name("rows.jsonl").write_text("{nope\n")
        await pilot.press("c")
        await until(lambda: any("rows.jsonl:1" in said for said in notices(app)), "the row")
        go(app, "training.steps")
        await pilot.press("enter", "x", "enter", "g", "r")
        await until(lambda: any("valid integer" in said for said in notices(app)), "why")
        await until(lambda: cursor(app) == "training.steps", "where")


async def test_start_starts_a_worker_and_shows_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run = f"run: {{name: started, folder: {tmp_path / 'first run'}}}\n"
    file.write_text(file.read_text() + run)
    async with editing(file, WIDE) as (app, pilot):
        go(app, "training.steps")
        await pilot.press("enter", *"25", "enter")
        await until(lambda: " of " in memory(app), "the plan")
        await pilot.press("r")
        await until(lambda: "[4 Train]" in screen_text(app), "the Train screen")
        folder = app.followed
        assert folder is not None
        status = read_status(folder)
        assert status is not None
        worker = psutil.Process(status.pid)
        try:
            assert worker.is_running()
            record = folder.config.read_text()
            assert "steps: 25 # few" in record
            assert f"train: {file.with_name('rows.jsonl')}   # forty rows" in record
            assert load_config(folder.config).config.training.steps == 25
            await until(lambda: status.run in screen_text(app), "the run")
            await pilot.press("2")
            await until(lambda: "run.yaml" in text_of(app, "#head"), "the file, not the record")
        finally:
            for process in [*worker.children(recursive=True), worker]:
                process.kill()


async def test_a_start_that_cannot_work_says_why(file: Path) -> None:
    async with editing(file) as (app, pilot):
        go(app, "run.folder")
        (file.parent / "full").mkdir()
        (file.parent / "full" / "thing").touch()
        await pilot.press("enter")
        await answer(app, pilot, str(file.parent / "full"))
        await pilot.press("r")
        await until(lambda: any("is not empty" in said for said in notices(app)), "why not")
        assert "[2 Config]" in screen_text(app)


# --- text from outside, sizes, terminals ---------------------------------------------------------


@pytest.mark.parametrize("size", some([(80, 24), WIDE], 2))
async def test_hostile_text_stays_text(file: Path, size: tuple[int, int]) -> None:
    odd_keys = "".join(f"  {json.dumps(f'k{text}')}: {json.dumps(text)}\n" for text in HOSTILE)
    lists = json.dumps([*HOSTILE, "x" * 5000, "👍🏽 日本 e\u0301"])
    raw = "# [bold]raw \u202e [/INST] [@click=app.quit]x[/]\n"
    odd = file.with_name("odd [red] \u202e.yaml")
    odd.write_text(
        f"{raw}{file.read_text()}  system: 1\nodd:\n{odd_keys}tracking: {{to: {lists}}}\n"
    )
    async with editing(None, size) as (app, pilot):
        app.open_config(str(odd))
        await until(lambda: "to mend" in text_of(app, "#head"), "the mistakes")
        for key in [
            "n",
            "n",
            "n",
            "tab",
            "pagedown",
            "tab",
            "v",
            "v",
            "P",
            "escape",
            "S",
            "escape",
        ]:
            await pilot.press(key)
            await pilot.pause()
            assert not FORBIDDEN & set(screen_text(app)), key
        go(app, "tracking.to")
        await pilot.press("enter")
        await pilot.pause()
        assert not FORBIDDEN & set(screen_text(app))
        await pilot.press("escape")
        odd.write_bytes(b"model: \x1b]52;c;x\x07 [/INST]\n")
        await pilot.press("o")
        await answer(app, pilot, str(odd))
        await pilot.pause()
        app.open_config(f"{odd.parent}/./{odd.name}")
        await until(lambda: "not valid YAML" in screen_text(app), "that it is no YAML")
        for _ in range(2):
            await pilot.press("tab")
            await pilot.pause()
            assert not FORBIDDEN & set(screen_text(app))


async def test_any_size_in_any_view(file: Path) -> None:
    async with editing(file) as (app, pilot):
        go(app, "training.steps")
        for keys in ("j k", "slash", "escape tab", "tab v", "v P", "escape enter"):
            await pilot.press(*keys.split())
            for size in ((1, 1), (2, 60), (200, 2), (250, 70), (80, 24)):
                await pilot.resize_terminal(*size)
                await pilot.pause()
        await answer(app, pilot, "31")
        await until(lambda: "steps: 31" in session_text(app), "the entry")
        await until(lambda: "[2 Config]" in screen_text(app), "the screen, whole again")


@pytest.mark.parametrize("terminal", [{"NO_COLOR": "1"}, {"LC_ALL": "C"}, {"TERM": "linux"}])
async def test_without_colour_and_in_ascii(
    file: Path, monkeypatch: pytest.MonkeyPatch, terminal: dict[str, str]
) -> None:
    for name, value in terminal.items():
        monkeypatch.setenv(name, value)
    async with editing(file, WIDE) as (app, pilot):
        await until(lambda: "W weights" in memory(app), "the plan")
        await pilot.press("tab", "escape", "v", "escape", "question_mark")
        await until(lambda: "Start a run of this config" in screen_text(app), "the keys")


async def test_help_lists_the_keys(file: Path) -> None:
    async with editing(file, (100, 60)) as (app, pilot):
        await pilot.press("question_mark")
        await until(lambda: "Start a run of this config" in screen_text(app), "the help")
        for words in ("Undo the last change", "From the form to the YAML", "The next choice"):
            assert words in screen_text(app)


# --- the widgets alone ---------------------------------------------------------------------------

GIB = 1 << 30
PARTS = {"weights": 4 * GIB, "adapter": GIB, "activations": 2 * GIB, "context": 0}


@pytest.fixture
def drafted(file: Path) -> Callable[..., Draft]:
    """Makes a draft of a real plan, with other numbers of memory."""
    session = ConfigSession()
    session.planner.prepare()
    session.open(file)
    draft = session.draft
    assert draft is not None
    assert draft.run is not None
    run = draft.run

    def make(budget: int, parts: dict[str, int] = PARTS, estimated: bool = True) -> Draft:
        memory = MemoryPlan(
            device="GPU 0: A [card]\x1b[31m",
            parts=parts,
            total=(total := sum(parts.values())),
            least=total,
            budget=budget,
        )
        return Draft(run=run.model_copy(update={"memory": memory}), estimated=estimated)

    return make


def test_the_bar_is_read_by_its_letters(drafted: Callable[..., Draft]) -> None:
    bar, parts = memory_text(drafted(14 * GIB), "", 130).plain.split("\n")
    inside = bar[bar.index("[") + 1 : bar.index("]")]
    assert inside == "W" * 11 + "A" * 3 + "a" * 6 + "·" * 20
    assert "about 7.0 GiB of 14.0 GiB GPU 0: A [card], 7.0 GiB free" in " ".join(bar.split())
    assert parts.startswith("W weights 4.0 GiB  a activations 2.0 GiB  A adapter 1.0 GiB")


def test_too_much_is_said_in_words(drafted: Callable[..., Draft]) -> None:
    bar = memory_text(drafted(5 * GIB, estimated=False), "", 130).plain
    assert "✖ 2.0 GiB too much" in bar
    assert "about" not in bar
    assert "·" not in bar


@pytest.mark.parametrize("width", [0, 1, 8, 40, 79, 400])
def test_a_bar_of_any_width(drafted: Callable[..., Draft], width: int) -> None:
    for budget in (0, 1, 5 * GIB, 500 * GIB):
        memory_text(drafted(budget), "", width)
        memory_text(drafted(budget, dict.fromkeys(PARTS, 0)), "", width)
    assert memory_text(None, "planning…", width).plain == "memory  planning…"


def test_why_there_is_no_plan_is_one_line() -> None:
    text = memory_text(Draft(problem="the model\nis \x1b[31mgone"), "", 80).plain
    assert text == "memory  the model is gone"


def shown(row: FormRow, width: int = 80) -> list[str]:
    return [line.plain.rstrip() for line in row_lines(row, width)]


def test_a_row_says_value_plan_origin_and_mistakes() -> None:
    fields = {field.name: field for field in form_fields()}
    row = FormRow(
        "lora.rank", "rank", "auto", planned="16", origin="auto", field=fields["lora.rank"]
    )
    assert shown(row) == [f"{'  rank':<26}{'auto → 16':<46}   auto"]
    wrong = replace(row, mistakes=("is wrong",), note="and odd")
    assert shown(wrong)[1:] == ["    ✖ is wrong", "    ! and odd"]
    assert shown(wrong)[0].startswith("✖ rank")


@pytest.mark.parametrize("width", [0, 1, 3, 7, 30, 57, 500])
def test_rows_of_any_width(width: int) -> None:
    for field in form_fields():
        row = FormRow(
            field.name,
            field.label,
            "日本" * 20,
            "x" * 99,
            "user",
            "",
            ("wrong " * 9,),
            "odd",
            field,
        )
        for line in row_lines(row, width):
            assert cell_len(line.plain) <= max(width, 7)
    assert len(shown(FormRow("lora", "lora", "about it", closed=True), width)) == 1
