"""The Try screen, with real models in real chat jobs: two sides, rows, the transcript."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from textual.events import Key, Paste
from textual.pilot import Pilot

from tests.answering.small_run import ANSWERS, GREETING, HELD_OUT, LLAMA, MARKUP, train_small
from tests.faults.how_many import some
from tests.tui.conftest import WriteRun
from tests.tui.test_hostile_text import FORBIDDEN
from tests.tui.written_runs import notices, opened, screen_text, text_of, until
from trainer_core.config.load import dump_config, load_config
from trainer_core.config.predict_section import ModelRequest
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import register, write_config
from trainer_core.worker import client
from trainer_core.worker.chats import Chat
from tui import try_side
from tui.app import BackpropApp
from tui.widgets.chat_pane import ChatPane
from tui.widgets.prompt_line import PromptLine

QUICK_WORKER = Path(__file__).parents[1] / "worker" / "quick_worker.py"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_small(tmp_path_factory.mktemp("small"))


class WarmChats:
    """Chat workers that one test leaves to the next, as long as they have patience: most of the
    time goes into their imports."""

    def __init__(self) -> None:
        self._known: dict[str, Chat] = {}

    def __call__(self, request: ModelRequest) -> Chat:
        key = request.model_dump_json()
        known = self._known.get(key)
        if known is None or not known.return_to():
            known = self._known[key] = Chat(request)
        return known

    def end(self) -> None:
        """End them all."""
        for chat in self._known.values():
            if chat.return_to():
                chat.client.send("stop")
                chat.close()


@pytest.fixture(scope="module")
def warm_chats() -> Iterator[WarmChats]:
    chats = WarmChats()
    yield chats
    chats.end()


@pytest.fixture
def cold_run(
    trained: Path, tmp_path: Path, write_run: WriteRun, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The run, listed in a home of this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(trained.parent / "cache"))
    register("small", RunFolder(trained))
    return trained


@pytest.fixture
def run(cold_run: Path, warm_chats: WarmChats, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with workers of the tests before."""
    monkeypatch.setattr(try_side, "Chat", warm_chats)
    return cold_run


@pytest.fixture(autouse=True)
def no_transcripts_of_others(trained: Path) -> Iterator[None]:
    """Each test reads its own."""
    yield
    for file in (trained / "transcripts").glob("*"):
        file.unlink()


@asynccontextmanager
async def trying(
    place: Path, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[BackpropApp, "Pilot[None]"]]:
    """The Try screen with a run or weights."""
    app = BackpropApp(tried=place)
    async with app.run_test(size=size) as pilot:
        await until(lambda: "not loaded yet" in screen_text(app), "the sides")
        yield app, pilot


def side(app: BackpropApp, name: str) -> str:
    """All that stands on a side, also what is scrolled out of sight; words are not broken."""
    lines = app.screen.query_one(f"#{name}-chat", ChatPane)._lines
    return " ".join(line.plain.strip() for line in lines)


async def ask(pilot: "Pilot[None]", text: str) -> None:
    """Write a prompt and ask it."""
    await pilot.press("enter", *text, "enter")


async def answered(app: BackpropApp, count: int = 1) -> None:
    """Wait until both sides have ended so many answers."""

    def done() -> bool:
        return all(side(app, name).count("a second") == count for name in ("left", "right"))

    await until(done, f"{count} answers on each side")
    await at_rest(app)


async def begun(app: BackpropApp, count: int) -> None:
    """Wait until so many answers on the left have at least begun."""
    await until(lambda: side(app, "left").count("tokens,") == count, "the beginning of an answer")


async def at_rest(app: BackpropApp) -> None:
    """Wait until nobody answers, and all that was said is painted."""
    sides = app.screen._sides
    await until(lambda: not any(one.is_busy or one.changed for one in sides), "the end")


def kept(folder: Path) -> list[dict[str, Any]]:
    """The lines of the transcripts, of which there are two where midnight was in between."""
    files = sorted((folder / "transcripts").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_base_and_adapter_answer_side_by_side(run: Path, size: tuple[int, int]) -> None:
    async with trying(run, size) as (app, pilot):
        await ask(pilot, LLAMA)
        await answered(app)
        shown = screen_text(app)
        assert " base  transformers, " in shown
        assert "[last] transformers, " in shown
        assert shown.count(LLAMA) == 2
        assert ANSWERS[LLAMA] in side(app, "right")
        assert ANSWERS[LLAMA] not in side(app, "left")
        await ask(pilot, GREETING)
        await answered(app, 2)
        assert side(app, "right").endswith("a second")
        assert shown.count("transcripts/") == 1
    lines = kept(run)
    assert sorted(line["model"] for line in lines) == ["base", "base", "last", "last"]
    first, second = [line for line in lines if line["model"] == "last"]
    assert (first["prompt"], first["answer"]) == (LLAMA, ANSWERS[LLAMA])
    assert first["source"] == str(run)
    assert (first["checkpoint"], first["base"], first["expected"]) == ("last", False, None)
    assert first["sampling"]["temperature"] == 0
    assert first["ended"] == "itself"
    assert 0 < first["tokens"] < 60
    assert first["conversation"] == second["conversation"]
    assert [turn["content"] for turn in second["prompt"]] == [LLAMA, ANSWERS[LLAMA], GREETING]


async def test_rows_that_are_held_out_are_one_key_away(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"  # as if it had been trained with a validation split
    shutil.copytree(run, copy)
    held_out = [f"data.validation=[{run.parent / 'held-out.jsonl'}]", "data.split.fractions=null"]
    write_config(RunFolder(copy), dump_config(load_config(run / "config.yaml", held_out)))
    hen, hat = HELD_OUT
    async with trying(copy) as (app, pilot):
        for key, number, prompt in (("v", 1, hen), ("v", 2, hat), ("v", 1, hen), ("V", 2, hat)):
            await pilot.press(key)
            words = f"validation {number} of 2"
            await until(lambda words=words: words in text_of(app, "#row"), words)
            assert HELD_OUT[prompt] in text_of(app, "#row")
            assert app.screen.query_one(PromptLine).text == prompt
        assert HELD_OUT[hat] in screen_text(app)
        await pilot.press("v", "v", "v")  # at once, they count
        await until(lambda: "validation 1 of 2" in text_of(app, "#row"), "the row that was meant")
        await pilot.press("escape")
        await until(lambda: HELD_OUT[hen] not in screen_text(app), "that it was given up")


async def test_a_row_is_asked_and_answered_as_expected(run: Path) -> None:
    async with trying(run) as (app, pilot):
        await pilot.press("v")
        await until(lambda: "train 1 of 3" in text_of(app, "#row"), "a row of train")
        assert "nothing is held out: it was trained on this" in text_of(app, "#row")
        await pilot.press("enter")
        await answered(app)
        assert "as expected" in side(app, "right")
        assert "as expected" not in side(app, "left")
        assert ANSWERS[LLAMA] in text_of(app, "#row")
        await pilot.press("v")
        await until(lambda: "train 2 of 3" in text_of(app, "#row"), "the next")
        await pilot.press("i", "x", "enter")  # changed, it is no row any more
        await answered(app, 2)
        assert text_of(app, "#row") == ""
    lines = kept(run)
    for line in lines[:2]:
        assert (line["prompt"], line["expected"]) == (LLAMA, ANSWERS[LLAMA])
        assert line["where"].endswith("train.jsonl:1")
    for line in lines[2:]:
        assert (line["prompt"], line["expected"], line["where"]) == (f"{GREETING}x", None, "")


async def test_an_answer_is_stopped_and_the_conversation_goes_on(run: Path) -> None:
    async with trying(run) as (app, pilot):
        asked = 0
        while "stopped" not in side(app, "left"):  # one may end by itself before it is stopped
            asked += 1
            assert asked < 20, side(app, "left")
            await pilot.press("n", "s", *f"temp=2 max=2000 seed={asked}", "enter")
            await ask(pilot, "Hi")
            await begun(app, asked)
            await pilot.press("x")
            await at_rest(app)
        await pilot.press("s", *"temp=0 max=60", "enter")
        await until(lambda: "temperature 0, 60 tokens" in text_of(app, "#head"), "the settings")
        await ask(pilot, LLAMA)
        await answered(app, asked + 1)
    stopped = next(line for line in kept(run) if line["ended"] == "stopped")
    assert stopped["prompt"] == "Hi"
    assert stopped["answer"]


async def test_a_prompt_that_comes_too_early_stays_in_the_line(cold_run: Path) -> None:
    async with trying(cold_run) as (app, pilot):
        await alone(app, pilot)
        await ask(pilot, "Hi")  # the model is being loaded
        await pilot.press("i", *LLAMA, "enter")
        await until(lambda: any("esc stops it" in n for n in notices(app)), "why not")
        line = app.screen.query_one(PromptLine)
        assert (line.text, line.is_open) == (LLAMA, True)
        await pilot.press("escape")
        await at_rest(app)
        assert "stopped" in side(app, "right")
        await pilot.press("enter")
        await until(lambda: ANSWERS[LLAMA] in side(app, "right"), "its answer")


async def test_settings_are_named_and_wrong_ones_refused(run: Path) -> None:
    async with trying(run) as (app, pilot):
        for typed, said in (
            ("warmth=1", "no setting is called warmth. There are temperature, top_p"),
            ("t=1", "no setting is called t"),
            ("seed=x", "seed x is no number"),
            ("top_p=2", "top_p is 2.0, and must be over 0"),
            ("warm", "settings are written as name=value"),
        ):
            await pilot.press("s", *typed, "enter")
            await until(lambda said=said: any(said in n for n in notices(app)), said)
            await pilot.press("escape")
        await pilot.press("s", *"temp=0.7, top_p=0.9 seed=3", "enter")
        words = "temperature 0.7, top_p 0.9, seed 3, 256 tokens"
        await until(lambda: words in text_of(app, "#head"), words)


async def test_another_model_is_chosen_and_one_side_can_be_alone(run: Path) -> None:
    async with trying(run) as (app, pilot):
        await pilot.press("tab")
        await until(lambda: "[base]" in screen_text(app), "the other side")
        await pilot.press("m")
        await until(lambda: "Who answers on the left?" in screen_text(app), "the list")
        for words in ("base ", "last ", "step-200", "step-180", "nobody"):
            assert words in screen_text(app)
        await pilot.press("j", "j", "enter")
        await until(lambda: "[step-200]" in screen_text(app), "a checkpoint")
        await pilot.press("m", "end", "enter")
        await until(lambda: "step-200" not in screen_text(app), "one side")
        await ask(pilot, GREETING)
        await until(lambda: ANSWERS[GREETING] in side(app, "right"), "its answer")
        assert "[last]" in screen_text(app)
        await pilot.press("m")
        await until(lambda: "Who answers on the left?" in screen_text(app), "where nobody does")
        await pilot.press("home", "enter")
        await until(lambda: "[base]" in screen_text(app), "the base")
        await pilot.press("z")
        await until(lambda: " last " not in screen_text(app), "the marked side alone")
        await pilot.press("z")
        await until(lambda: " last " in screen_text(app), "both")


async def test_a_new_conversation_forgets_and_keeps_what_was_said_on_the_screen(run: Path) -> None:
    async with trying(run) as (app, pilot):
        await ask(pilot, GREETING)
        await answered(app)
        await pilot.press("n")
        await ask(pilot, LLAMA)
        await answered(app, 2)
        assert GREETING in side(app, "right")
        assert "───" in side(app, "right")
        assert ANSWERS[LLAMA] in side(app, "right")
        await pilot.press("g")
        await until(lambda: GREETING in screen_text(app), "the beginning")
        await pilot.press("j", "k", "pagedown", "pageup", "G")
        await until(lambda: LLAMA in screen_text(app), "the end")
    assert [line["prompt"] for line in kept(run) if line["model"] == "last"] == [GREETING, LLAMA]
    assert len({line["conversation"] for line in kept(run)}) == 2


async def test_text_of_the_model_and_of_whoever_types_is_text(run: Path) -> None:
    async with trying(run) as (app, pilot):
        await ask(pilot, MARKUP)
        await answered(app)
        assert ANSWERS[MARKUP] in side(app, "right")
        assert "[@click=app.quit]" in screen_text(app)
        await pilot.press("s", *"temp=50 max=150", "enter")  # any tokens, control bytes among them
        await pilot.press("enter")
        app.post_message(Paste("two\nlines\x1b[31m \u202e[/x] \x9b31m"))
        await until(lambda: "lines" in app.screen.query_one(PromptLine).text, "what was pasted")
        await pilot.pause()
        assert not FORBIDDEN & set(screen_text(app))
        await pilot.press("enter")
        await answered(app, 2)
        assert not FORBIDDEN & set(screen_text(app))
        assert not FORBIDDEN & set(side(app, "left") + side(app, "right"))
    last = [line for line in kept(run) if line["model"] == "last"][-1]
    assert last["prompt"][-1]["content"] == "two\nlines\x1b[31m \u202e[/x] \x9b31m"


async def test_keys_typed_in_one_go_are_all_taken(run: Path) -> None:
    async with trying(run) as (app, _):
        for key, character in [
            ("enter", "\r"),
            ("4", "4"),
            ("q", "q"),
            ("ctrl+j", "\n"),
            ("2", "2"),
        ]:
            app.post_message(Key(key, character))  # nobody waits for the focus in between
        await until(lambda: app.screen.query_one(PromptLine).text == "4q\n2", "the prompt")


async def test_escape_closes_one_thing_after_the_other(run: Path) -> None:
    async with trying(run) as (app, pilot):
        await pilot.press("enter", "h", "i", "escape")
        line = app.screen.query_one(PromptLine)
        assert (line.is_open, line.text) == (False, "hi")
        await pilot.press("escape")
        assert line.text == ""
        await pilot.press("s", "escape")
        assert "[6 Try]" in screen_text(app)
        await pilot.press("escape")
        await until(lambda: "[1 Runs]" in screen_text(app), "the list of runs")


async def test_leaving_ends_the_jobs_and_coming_back_goes_on(
    cold_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "WORKER", (sys.executable, str(QUICK_WORKER)))
    run = cold_run
    async with trying(run) as (app, pilot):
        await alone(app, pilot)
        await ask(pilot, GREETING)
        await until(lambda: ANSWERS[GREETING] in side(app, "right"), "its answer")
        await at_rest(app)
        assert len([*tmp_path.glob("backprop-chat-*")]) == 1
        await pilot.press("question_mark")  # a dialog over it is no leaving
        await until(lambda: "the marked side" in screen_text(app), "the help")
        await pilot.press("escape", "1")
        await until(lambda: not [*tmp_path.glob("backprop-chat-*")], "the end of the jobs")
        await pilot.press("6")
        await until(lambda: "not loaded yet" in screen_text(app), "the screen again")
        assert ANSWERS[GREETING] in side(app, "right")
        await ask(pilot, LLAMA)
        await until(lambda: side(app, "right").count("a second") == 2, "the next answer")
        await at_rest(app)
    await until(lambda: not [*tmp_path.glob("backprop-*")], "the end of the jobs")
    last = [line for line in kept(run) if line["model"] == "last"][-1]
    assert [turn["content"] for turn in last["prompt"]][:2] == [GREETING, ANSWERS[GREETING]]


async def test_a_job_that_dies_is_said_and_the_next_prompt_starts_another(
    cold_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trying(cold_run) as (app, pilot):
        await alone(app, pilot)
        await ask(pilot, GREETING)
        await until(lambda: "starting" in screen_text(app), "the worker")
        await until(lambda: jobs(), "its job")
        for job in jobs():
            job.kill()
        await until(lambda: "killed" in side(app, "right"), "that it died")
        await ask(pilot, LLAMA)
        await until(lambda: ANSWERS[LLAMA] in side(app, "right"), "the next answer")


def jobs() -> list[psutil.Process]:
    """The processes that talk to this test's client: of workers that were just started."""
    workers = (worker for worker in psutil.Process().children() if "chat" in worker.cmdline())
    return [
        job
        for worker in workers
        for job in worker.children()
        if "resource_tracker" not in " ".join(job.cmdline())
        and job.create_time() > time.time() - 60
    ]


async def alone(app: BackpropApp, pilot: "Pilot[None]") -> None:
    """Let nobody answer on the left."""
    await pilot.press("tab", "m", "end", "enter")
    await until(lambda: "base" not in screen_text(app), "one side alone")


async def test_weights_that_lie_in_no_run(run: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "an adapter"
    shutil.copytree(run / "adapter" / "last", adapter)
    async with trying(adapter) as (app, pilot):
        assert "[an adapter]" in screen_text(app)
        await pilot.press("v")
        await until(lambda: any("lies in no run" in n for n in notices(app)), "why no row")
        await ask(pilot, GREETING)
        await answered(app)
        assert ANSWERS[GREETING] in side(app, "right")
        assert ANSWERS[GREETING] not in side(app, "left")
    lines = kept(tmp_path / "state-home" / "backprop")
    assert {line["source"] for line in lines} == {str(adapter)}


async def test_the_list_of_runs_leads_here_and_a_run_that_has_trained_nothing(
    run: Path, write_run: WriteRun, demo: Path
) -> None:
    empty = write_run("empty")
    empty.folder.config.write_text(
        f"model: {{base: {demo / 'base'}}}\ndata: {{train: {demo / 'train.jsonl'}}}\n"
    )
    async with opened() as (app, pilot):
        await until(lambda: "empty" in screen_text(app), "the list")
        await pilot.press("T")
        await until(lambda: "[base] not loaded yet" in screen_text(app), "its base alone")
        assert text_of(app, "#head").startswith("empty")
        await ask(pilot, "Hi")
        await until(lambda: "a second" in side(app, "left"), "the base's answer")
        await pilot.press("o")
        await until(lambda: "of which run?" in screen_text(app), "the runs")
        await pilot.press("j", "enter")
        await until(lambda: "[last] not loaded yet" in screen_text(app), "the other run")
        assert side(app, "left") == ""


async def test_without_a_run_it_says_what_to_do(write_run: WriteRun) -> None:
    async with opened() as (app, pilot):
        await pilot.press("6")
        await until(lambda: "backprop demo" in screen_text(app), "what to do")
        await pilot.press("enter", "v", "m", "o", "n", "s", "escape", "x", "z", "tab", "j")
        assert "[6 Try]" in screen_text(app)


async def test_a_place_that_is_gone_is_a_sentence(write_run: WriteRun, tmp_path: Path) -> None:
    app = BackpropApp(tried=tmp_path / "[bold]gone\x1b[31m")
    async with app.run_test():
        # However long the path is, and so wherever the line is broken.
        said = "Name one: backprop try RUN"
        await until(lambda: said in " ".join(screen_text(app).split()), "the sentence")
        assert not FORBIDDEN & set(screen_text(app))


@pytest.mark.parametrize("size", some([(1, 1), (2, 60), (200, 2), (300, 100)], 2))
async def test_any_size(run: Path, size: tuple[int, int]) -> None:
    async with trying(run) as (app, pilot):
        await ask(pilot, GREETING)
        await answered(app)
        for key in ("enter", "z", "m"):
            await pilot.press(key)
            await pilot.resize_terminal(*size)
            await pilot.pause()
            await pilot.press("escape", "6")  # out of what was opened, or of the screen
            await pilot.resize_terminal(80, 24)
            await pilot.pause()
        await until(lambda: "[6 Try]" in screen_text(app), "the screen, whole again")
