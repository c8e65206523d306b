"""The Data screen: rows at once, tokens when the worker has them, and every way to move."""

import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from tests.faults.how_many import some
from tests.tui.conftest import WriteRun
from tests.tui.test_hostile_text import FORBIDDEN, HOSTILE
from tests.tui.written_runs import notices, opened, screen_text, text_of, until
from trainer_core.data.report import Lengths, SplitReport
from trainer_core.data.row_view import RowView, ShownToken, ShownTurn
from trainer_core.worker import client
from tui.app import BackpropApp
from tui.widgets.conversation_pane import conversation_lines
from tui.widgets.length_histogram import columns_of, histogram_text
from tui.widgets.problem_list import ProblemList
from tui.widgets.token_pane import counts_line, shown_text, token_lines

WORKER = Path(__file__).parents[1] / "worker" / "quick_worker.py"
WAITING_WORKER = WORKER.with_name("waiting_worker.py")


@pytest.fixture
def rows(tmp_path: Path, write_run: WriteRun, monkeypatch: pytest.MonkeyPatch) -> Path:
    """36 rows; number 13 (line 14) is no JSON. Beside them a file with four others."""
    monkeypatch.setattr(client, "WORKER", (sys.executable, str(WORKER)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lines = [json.dumps({"question": f"What is {n}?", "answer": f"It is {n}."}) for n in range(40)]
    lines[13] = "{nope"
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(lines[:36]))
    file.with_name("held_out.jsonl").write_text("\n".join(lines[36:]))
    return file


def write_config(file: Path, train: Path, demo: Path, more: str = "") -> Path:
    """A run's config: those rows, the four others, the demo's model."""
    held_out = json.dumps(str(file.with_name("held_out.jsonl")))
    file.write_text(
        f"model: {{base: {demo / 'base'}{more}}}\n"
        f"data: {{train: {json.dumps(str(train))}, validation: {held_out}, too_long: truncate}}\n"
    )
    return file


@pytest.fixture
def config(rows: Path, demo: Path) -> Path:
    """A run's config over both files."""
    return write_config(rows.with_name("run.yaml"), rows, demo)


@asynccontextmanager
async def showing(
    what: Path, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[BackpropApp, "Pilot[None]"]]:
    """The Data screen with some data, read to the end."""
    async with opened(size=size) as (app, pilot):
        app.open_data(str(what))
        await until(lambda: "[train" in text_of(app, "#place"), "the splits")
        yield app, pilot


def place(app: BackpropApp) -> str:
    return text_of(app, "#place")


async def test_the_first_row_comes_before_anything_is_prepared(
    rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "WORKER", (sys.executable, "-c", "input()"))  # never gets there
    async with opened() as (app, pilot):
        app.open_data(str(rows))
        await until(lambda: "What is 0?" in screen_text(app), "the first row")
        assert "as read" in place(app)
        await pilot.press("j", "j")
        await until(lambda: "What is 2?" in screen_text(app), "the third row")
        await pilot.press("G")
        await until(lambda: "What is 35?" in screen_text(app), "the last row")
        await pilot.press("slash", *"IS 21", "enter")
        await until(lambda: "No further row" in str(notices(app)), "that it is not further on")
        await pilot.press("g", "n")
        await until(lambda: "What is 21?" in screen_text(app), "the row that holds it")


async def test_tokens_come_before_all_rows_are_prepared(
    config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "WORKER", (sys.executable, str(WAITING_WORKER)))
    monkeypatch.setenv("WAIT_FOR", str(tmp_path / "go"))
    async with opened(size=(160, 50)) as (app, pilot):
        app.open_data(str(config))
        await until(lambda: "⟨|im_start|⟩user⏎" in screen_text(app), "the tokens")
        assert "as read" in place(app)
        assert "question and answer: the rows have" in text_of(app, "#source")
        await pilot.press("j", "j")
        await until(lambda: "It·is·2." in screen_text(app), "the third row's tokens")
        assert "▌ trained" in screen_text(app)
        await pilot.press("G")
        await until(lambda: "It·is·35." in screen_text(app), "the last row's tokens")
        await pilot.press("colon", *"14", "enter")
        await until(lambda: "has no tokens" in screen_text(app), "a row that is no JSON")
        (tmp_path / "go").touch()
        await until(lambda: "[train 36]" in place(app), "the splits")
        assert "row 14 of 36" in place(app)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_rows_and_tokens_of_a_config(config: Path, size: tuple[int, int]) -> None:
    async with showing(config, size) as (app, pilot):
        await until(lambda: "▌ trained" in screen_text(app), "the conversation")
        assert "What is 0?" in screen_text(app)
        assert "[train 36]" in place(app)
        assert "row 1 of 36" in place(app)
        assert "question" in text_of(app, "#source")
        if size[0] < 120:
            await pilot.press("v")
        await until(lambda: "⟨|im_start|⟩user⏎" in screen_text(app), "the tokens")
        lines = [line for line in screen_text(app).splitlines() if "⟨|im_end|⟩" in line]
        masked, trained = (line[: line.index("⟨")] for line in lines)
        assert "▌" not in masked
        assert "▌" in trained
        await until(lambda: "trained (" in text_of(app, "#counts"), "the counts")


async def test_every_way_to_move(config: Path) -> None:
    async with showing(config) as (app, pilot):
        for keys, row in (
            (["j"], "row 2 of 36"),
            (["right", "right"], "row 4 of 36"),
            (["k"], "row 3 of 36"),
            (["G"], "row 36 of 36"),
            (["j"], "row 36 of 36"),
            (["g"], "row 1 of 36"),
            (["k"], "row 1 of 36"),
            (["colon", "2", "0", "enter"], "row 20 of 36"),
            (["colon", "x", "enter"], "row 20 of 36"),
            (["J"], "row 36 of 36"),
        ):
            await pilot.press(*keys)
            await until(lambda row=row: row in place(app), f"{keys}: {row}")
        await until(lambda: "What is 35?" in screen_text(app), "the last row of train")
        await pilot.press("s")
        await until(lambda: "[validation 4]" in place(app), "the next split")
        await until(lambda: "What is 36?" in screen_text(app), "its first row")
        await pilot.press("tab")
        await until(lambda: "[train 36]" in place(app), "train again")


async def test_held_keys_end_at_the_row_that_was_meant(config: Path) -> None:
    async with showing(config) as (app, pilot):
        await pilot.press(*"jjjjjjjjjjjjjjjkkkk")
        await until(lambda: "row 12 of 36" in place(app), "the number")
        await until(lambda: "What is 11?" in screen_text(app), "the row")


async def test_keys_typed_in_one_go_are_all_taken(config: Path) -> None:
    async with showing(config) as (app, _):
        for key, character in [("colon", ":"), ("2", "2"), ("0", "0"), ("enter", "\r")]:
            app.post_message(Key(key, character))  # nobody waits for the focus in between
        await until(lambda: "row 20 of 36" in place(app), "the row")
        await until(lambda: "What is 19?" in screen_text(app), "what it says")
        for number in (30, 31):  # the second search replaces the first
            for character in f"/is {number}\r":
                key = {"/": "slash", " ": "space", "\r": "enter"}.get(character, character)
                app.post_message(Key(key, character))
            await until(lambda row=number + 1: f"row {row} of 36" in place(app), "the row")


async def test_search_goes_on_with_n(config: Path) -> None:
    async with showing(config) as (app, pilot):
        await pilot.press("slash", *"is 3", "enter")
        await until(lambda: "What is 3?" in screen_text(app), "the first")
        await pilot.press("n")
        await until(lambda: "What is 30?" in screen_text(app), "the second")
        await pilot.press("slash")
        assert app.screen.query_one(Input).value == "is 3"
        await pilot.press("escape", "4")
        await until(lambda: "[4 Train]" in screen_text(app), "a key that is a key again")


async def test_a_problem_leads_to_its_row(config: Path) -> None:
    async with showing(config) as (app, pilot):
        assert "! 1 problems (p)" in place(app)
        await pilot.press("p")
        await until(lambda: "unreadable  1 row" in screen_text(app), "the kinds")
        assert "rows.jsonl:14" in screen_text(app)
        await pilot.press("j", "enter")
        await until(lambda: "rows.jsonl:14" in place(app), "the row")
        await until(lambda: "! not JSON" in screen_text(app), "its problem")
        await pilot.press("v")
        await until(lambda: "has no tokens" in screen_text(app), "why it has no tokens")


async def test_many_problems_are_shown_by_kind_first(rows: Path, config: Path) -> None:
    rows.write_text('{"question": "q", "answer": "a"}\n' + "{nope\n" * 500)
    async with showing(config) as (app, pilot):
        await pilot.press("p")
        await until(lambda: "▸ unreadable  500 rows" in screen_text(app), "the kind alone")
        assert app.screen.query_one(ProblemList).option_count == 1
        await pilot.press("enter", "down", "down", "enter")
        await until(lambda: "row 3 of" in place(app), "the second of them")


async def test_statistics_of_the_split(config: Path) -> None:
    async with showing(config) as (app, pilot):
        await pilot.press("v", "v")
        await until(lambda: "p50" in screen_text(app), "the histogram")
        for words in ("train: tokens an example", "validation", "trained", "p99"):
            assert words in screen_text(app)
        await pilot.press("s")
        await until(lambda: "validation: tokens an example" in screen_text(app), "of the other")


async def test_without_a_model_there_are_rows_only(rows: Path) -> None:
    async with showing(rows) as (app, pilot):
        assert "no model: rows only" in text_of(app, "#source")
        await pilot.press("v")
        await until(lambda: "no model is known" in screen_text(app), "why")
        await pilot.press("v")
        await until(lambda: "No token lengths" in screen_text(app), "why here")


async def test_the_data_of_the_run_that_is_open(config: Path, write_run: WriteRun) -> None:
    run = write_run()
    run.folder.config.write_bytes(config.read_bytes())
    async with opened(run) as (app, pilot):
        await pilot.press("3")
        await until(lambda: "[train 36]" in place(app), "its data")


async def test_nothing_open_asks_for_a_file(rows: Path) -> None:
    async with opened() as (app, pilot):
        await pilot.press("3")
        await until(lambda: "Press o" in screen_text(app), "the way")
        await pilot.press("o", *str(rows), "enter")
        await until(lambda: "[train" in place(app), "the data")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.jsonl", "does not exist"),
        ("gone.yaml", "gone.yaml"),
        ("bad.yaml", "not a known field"),
        ("empty folder", "has no data files"),
        ("a\tb[bold]\x1b[31m", "no file fits"),
    ],
)
async def test_what_cannot_be_opened_is_one_sentence(rows: Path, name: str, words: str) -> None:
    rows.with_name("bad.yaml").write_text("model: {base: x, bsae: y}\ndata: {train: x.jsonl}\n")
    async with opened() as (app, _):
        rows.with_name("empty folder").mkdir()
        app.open_data(str(rows.with_name(name)))
        unbroken = "".join(words.split())  # wherever the screen's width breaks it
        await until(lambda: unbroken in "".join(screen_text(app).split()), words)
        assert not FORBIDDEN & set(screen_text(app))
        app.open_data(str(rows))
        await until(lambda: "[train" in place(app), "other data afterwards")


async def test_a_worker_that_dies_is_said(config: Path) -> None:
    async with showing(config) as (app, pilot):
        await until(lambda: "What is 0?" in screen_text(app), "the row")
        for worker in psutil.Process().children():
            for job in worker.children():
                job.kill()
        await until(lambda: "killed" in text_of(app, "#source"), "what went wrong")
        assert "What is 0?" in screen_text(app)
        await pilot.press("j")
        await until(lambda: any("worker" in said for said in notices(app)), "why there is no row")


@pytest.mark.parametrize("size", some([(80, 24), (160, 50)], 2))
async def test_hostile_rows_stay_text(rows: Path, demo: Path, size: tuple[int, int]) -> None:
    values = [*HOSTILE, "\ud800", "x" * 50_000, "👍🏽 日本 e\u0301", ""]
    data = rows.with_name("h [red] \u202e.jsonl")
    lines = [json.dumps({"question": text, "answer": f"end {text}"}) for text in values]
    data.write_text("\n".join([*lines, '{"a\\u001b[31m": {"[b]": "\\u0007"}}']))
    config = write_config(rows.with_name("run.yaml"), data, demo)
    async with showing(config, size) as (app, pilot):
        for _ in range(len(values) + 1):
            for _ in range(4 if size[0] < 120 else 3):
                assert not FORBIDDEN & set(screen_text(app))
                await pilot.press("v")
            await pilot.press("j", "pagedown", "down")
        assert f"row {len(lines) + 1} of {len(lines) + 1}" in place(app)


@pytest.mark.parametrize("size", some([(1, 1), (2, 60), (200, 2), (300, 100)], 2))
async def test_any_size_in_any_view(config: Path, size: tuple[int, int]) -> None:
    async with showing(config) as (app, pilot):
        for _ in range(4):
            await pilot.press("v")
            await pilot.resize_terminal(*size)
            await pilot.pause()
            await pilot.press("j")
            await pilot.resize_terminal(80, 24)
            await pilot.pause()
        await until(lambda: "[3 Data]" in screen_text(app), "the screen, whole again")


async def test_in_ascii_trained_and_masked_are_still_told_apart(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("NO_COLOR", "1")
    async with showing(config) as (app, pilot):
        await pilot.press("v")
        await until(lambda: "<|im_end|>" in screen_text(app), "the tokens")
        assert screen_text(app).isascii()
        ends = [line.strip() for line in screen_text(app).splitlines() if "<|im_end|>" in line]
        assert [end.startswith("|") for end in ends] == [False, True]


async def test_real_rows(shared: Path, rows: Path, demo: Path) -> None:
    data = shared / "data" / "gsm8k" / "test.jsonl"
    config = write_config(rows.with_name("run.yaml"), data, demo, more=", max_length: 128")
    async with showing(config, (160, 50)) as (app, pilot):
        await until(lambda: "ducks" in screen_text(app), "the first row")
        assert "── cut at 128 ──" in screen_text(app)
        await pilot.press("G")
        await until(lambda: "row 1,319 of 1,319" in place(app), "the last row")


# --- the widgets alone ---------------------------------------------------------------------------


def view(*tokens: ShownToken) -> RowView:
    return RowView(split="train", index=0, row=0, where="x:1", tokens=list(tokens))


def token(text: str, **facts: bool) -> ShownToken:
    return ShownToken(id=7, text=text, **facts)


def drawn(tokens: RowView, width: int = 40) -> list[str]:
    from rich.style import Style

    return [line.plain.rstrip() for line in token_lines(tokens, width, Style())]


def test_each_line_is_trained_masked_or_cut() -> None:
    row = view(
        token("<s>", special=True),
        token("Hi"),
        token("  you"),
        token("\n"),
        token("yes", trained=True),
        token("</s>", special=True, trained=True),
        token("lost", lost=True),
        token("gone", lost=True, trained=True),
    )
    row.limit = 6
    assert drawn(row) == [
        "   ⟨s⟩Hi··you⏎",
        "▌  yes⟨/s⟩",
        "── cut at 6 ────────────────────────────",
        " × lost",
        "▌× gone",
    ]
    assert counts_line(row) == "8 tokens · 3 trained (38%) · 2 beyond 6"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" a b", "·a b"),
        ("   ", "···"),
        ("\x1b[31m", "␛[31m"),
        ("\t\x00\x7f", "␉␀␡"),
        ("\n\n", "⏎\n⏎\n"),
        ("\u202e", "\ufffd"),
        ("", "⟨7⟩"),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str, shown: str) -> None:
    assert shown_text(token(text)) == shown


@pytest.mark.parametrize("width", [1, 2, 4, 5, 17])
def test_long_and_wide_tokens_fit_any_width(width: int) -> None:
    from rich.cells import cell_len

    lines = drawn(view(token("日本語" * 20), token("x" * 100, trained=True)), width)
    if width > 4:
        assert max(map(cell_len, lines)) <= width
    assert "".join(lines).count("x") == 100


def test_a_long_row_says_what_is_left_out() -> None:
    row = view(token("a"), token("b", trained=True))
    row.left_out = 3
    assert counts_line(row) == "first 2 of 5 tokens · 1 of them trained"
    row.limit = 4
    assert counts_line(row).endswith(" · 1 beyond 4")


def test_problems_and_an_empty_row_are_said() -> None:
    row = view()
    assert [line.plain for line in conversation_lines(row, 20)] == ["(an empty row)"]
    row.problems = ["no answer in it at all"]
    row.turns = [ShownTurn(role="user", content="one two three four five", trained=False)]
    assert [line.plain.rstrip() for line in conversation_lines(row, 12)] == [
        "! no answer",
        "in it at all",
        "",
        " user",
        "one two",
        "three four",
        "five",
    ]


def lengths(**facts: object) -> SplitReport:
    return SplitReport(name="test", lengths=Lengths.model_validate(facts))


def test_the_histogram_marks_percentiles_and_the_cut() -> None:
    split = lengths(p50=20, p95=60, p99=80, max=100, histogram=[5, 9, 4, 3, 2, 2, 1, 1, 1, 1])
    lines = histogram_text(split, 50, 60, 8).plain.splitlines()
    assert len(lines) == 8
    assert lines[0] == "test: tokens an example, 0 to 100"
    assert all(line[30] == "┃" for line in lines[1:6])
    assert lines[6].index("╵cut") == 30
    assert [lines[6].index(f"╵p{p}") for p in (50, 95, 99)] == [12, 36, 48]
    assert lines[7] == "p50 20  p95 60  p99 80  max 100  cut at 50"
    assert max(map(len, lines)) == 60


def test_a_long_tail_does_not_squeeze_the_rest() -> None:
    split = lengths(p50=20, p95=60, p99=80, max=10_000, histogram=[99, *[0] * 98, 1])
    text = histogram_text(split, None, 60, 8).plain
    assert "0 to 121" in text
    assert "of them longer" in text


@pytest.mark.parametrize("columns", [8, 10, 37, 500])
def test_no_example_is_lost_between_bins_and_columns(columns: int) -> None:
    counts = columns_of(Lengths(max=77, histogram=[3, 0, 7, 1]), 77, columns)
    assert sum(counts) == pytest.approx(11)
    assert min(counts) >= 0


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (3, 9), (60, 2), (9, 40)])
def test_a_histogram_of_any_size(size: tuple[int, int]) -> None:
    split = lengths(p50=1, p95=1, p99=1, max=1, histogram=[1, 1])
    assert histogram_text(split, 1, *size).plain
    assert "No token lengths" in histogram_text(lengths(), None, *size).plain
