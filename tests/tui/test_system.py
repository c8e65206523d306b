"""System: the machine now, and what on it would trouble a run; by keyboard, at any size."""

import threading

import pytest

from tests.tui.conftest import WriteRun
from tests.tui.written_runs import notices, opened, screen_text, text_of, until
from trainer_core.hardware.doctor.finding import Finding, note, ok, problem, warning
from trainer_core.hardware.gpus import Gpu
from trainer_core.hardware.sample import MachineSample
from tui.app import BackpropApp
from tui.screens.system import SystemScreen
from tui.widgets.finding_list import FindingList

GIB = 1 << 30
FOUND = [
    ok("python", "Python 3.11.9 here."),
    note("extras", "onnx: ONNX models; not installed.", "It adds onnx.", "pip install onnx"),
    warning("disk", "Only 3.0 GiB are free.", "Make room; --output puts a run elsewhere."),
    ok("cores", "8 cores."),
    problem("login", "logind ends runs at logout.", "Linger once.", "loginctl enable-linger"),
]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What a look at the machine finds; a test may change it between two looks."""
    found = list(FOUND)
    monkeypatch.setattr("tui.screens.system.examine", lambda: list(found))
    return found


def detail(app: BackpropApp) -> str:
    return text_of(app, "#finding-text")


def order(app: BackpropApp, *words: str) -> list[int]:
    text = screen_text(app)
    return [text.index(word) for word in words]


async def test_this_machine_is_really_looked_at(write_run: WriteRun) -> None:
    async with opened(size=(160, 50)) as (app, pilot):
        await pilot.press("7", "a")
        await until(lambda: "Python 3." in screen_text(app), "the findings")
        await until(lambda: "of which this dashboard" in screen_text(app), "the gauges")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_worst_first_and_the_good_in_one_line(
    write_run: WriteRun, found: list[Finding], size: tuple[int, int]
) -> None:
    async with opened(size=size) as (app, pilot):
        await pilot.press("7")
        await until(lambda: "1 problem, 1 warning, 1 note, 2 ok" in screen_text(app), "the verdict")
        places = order(app, "FAIL login", "warn disk", "note extras", "2 things are as they should")
        assert places == sorted(places)
        assert "8 cores." not in screen_text(app)
        assert "logind ends runs at logout.\nLinger once.\n$ loginctl enable-linger" in detail(app)


async def test_the_cursor_shows_each_finding_in_full(
    write_run: WriteRun, found: list[Finding]
) -> None:
    async with opened() as (app, pilot):
        await pilot.press("7")
        await until(lambda: "FAIL" in screen_text(app), "the findings")
        await pilot.press("j")
        await until(lambda: "--output puts a run elsewhere" in detail(app), "the warning")
        await pilot.press("down")
        await until(lambda: "$ pip install onnx" in detail(app), "the note")
        await pilot.press("k", "up")
        await until(lambda: "$ loginctl" in detail(app), "the problem")
        await pilot.press("G")
        await until(lambda: detail(app) == "", "the line for the good ones")
        await pilot.press("enter")
        await until(lambda: "Python 3.11.9 here." in detail(app), "the first good one")
        await pilot.press("a")
        await until(lambda: "8 cores." not in screen_text(app), "one line again")
        await pilot.press("g")
        await until(lambda: "$ loginctl" in detail(app), "the problem")


async def test_y_copies_the_command_or_what_to_do(
    write_run: WriteRun, found: list[Finding], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with opened() as (app, pilot):
        await pilot.press("7")
        await until(lambda: "FAIL" in screen_text(app), "the findings")
        await pilot.press("y")
        assert app.clipboard == "loginctl enable-linger"
        assert "Copied: loginctl enable-linger" in notices(app)
        await pilot.press("j", "y")
        assert app.clipboard == "Make room; --output puts a run elsewhere."
        await pilot.press("G", "y")
        assert app.clipboard == "Make room; --output puts a run elsewhere."
        assert "There is nothing to copy on this line" in notices(app)


async def test_r_looks_again_and_the_cursor_stays(
    write_run: WriteRun, found: list[Finding]
) -> None:
    async with opened() as (app, pilot):
        await pilot.press("7")
        await until(lambda: "FAIL" in screen_text(app), "the findings")
        await pilot.press("j")
        await until(lambda: "--output" in detail(app), "the warning")
        found.remove(FOUND[-1])
        await pilot.press("r")
        await until(lambda: "FAIL" not in screen_text(app), "the new findings")
        assert "--output" in detail(app)
        assert app.screen.query_one(FindingList).highlighted == 0


async def test_the_screen_is_there_before_the_findings(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, looks = threading.Event(), []

    def slow() -> list[Finding]:
        looks.append(1)
        go_on.wait(60)
        return FOUND

    monkeypatch.setattr("tui.screens.system.examine", slow)
    async with opened() as (app, pilot):
        await pilot.press("7")
        await until(lambda: "Looking at this machine" in screen_text(app), "the first frame")
        await pilot.press("r", "r", "y", "a", "j", "2")
        await until(lambda: "[2 Config]" in screen_text(app), "another screen, meanwhile")
        await pilot.press("7")
        go_on.set()
        await until(lambda: "1 problem" in screen_text(app), "the findings")
        assert len(looks) == 1


async def test_help_shows_the_keys(write_run: WriteRun, found: list[Finding]) -> None:
    async with opened(size=(80, 50)) as (app, pilot):
        await pilot.press("7", "question_mark")
        await until(lambda: "Look at the machine again" in screen_text(app), "the help")
        assert "Copy the command" in screen_text(app)


@pytest.mark.parametrize("columns", [80, 160])
async def test_eight_gpus_leave_room_for_the_findings(
    write_run: WriteRun, found: list[Finding], columns: int
) -> None:
    card = Gpu(index=0, name="NVIDIA H100", memory_used=GIB, memory_total=80 * GIB, power=70)
    sample = MachineSample(
        cpu=1.0,
        ram_used=GIB,
        ram_total=2 * GIB,
        process_ram=GIB,
        disk_used=GIB,
        disk_total=2 * GIB,
        gpus=[card.model_copy(update={"index": index}) for index in range(8)],
    )
    async with opened(size=(columns, 24)) as (app, pilot):
        await pilot.press("7")
        await until(lambda: "FAIL login" in screen_text(app), "the findings")
        assert isinstance(app.screen, SystemScreen)
        app.screen.post_message(SystemScreen.Sampled(sample))
        await until(lambda: "H100" in screen_text(app), "the GPUs")
        assert "FAIL login" in screen_text(app)
        assert "$ loginctl" in screen_text(app)


@pytest.mark.parametrize("text", ["[/x] [bold", "[@click=app.quit]x[/]", "\x1b]52;c;x\x07y"])
async def test_hostile_text_stays_text(
    write_run: WriteRun, found: list[Finding], text: str
) -> None:
    found[:] = [problem("gpu", f"said {text}", f"do {text}", f"run {text}")]
    async with opened() as (app, pilot):
        await pilot.press("7")
        await until(lambda: "said" in screen_text(app), "the finding")
        await pilot.press("y")
        assert not {"\x1b", "\x07"} & set(screen_text(app) + app.clipboard)


async def test_every_size(write_run: WriteRun, found: list[Finding]) -> None:
    async with opened() as (app, pilot):
        await pilot.press("7")
        await until(lambda: "FAIL" in screen_text(app), "the findings")
        for width, height in ((1, 1), (300, 100), (2, 60), (200, 2), (30, 8), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.press("a", "j", "r", "a", "tab")
        await until(lambda: "1 problem" in screen_text(app), "the screen, whole again")


async def test_without_unicode_it_is_ascii(
    write_run: WriteRun, found: list[Finding], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    async with opened() as (app, pilot):
        await pilot.press("7")
        await until(lambda: "FAIL login" in screen_text(app), "the findings")
        assert screen_text(app).isascii()
