"""The Export screen: what is chosen is what is asked, and what comes of it is there to read."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.how_many import some
from tests.tui.conftest import WriteRun
from tests.tui.written_exports import BASE, WrittenExport, checked, exported, train_something
from tests.tui.written_runs import WrittenRun, notices, opened, screen_text, text_of, until
from trainer_core.config.export_section import ExportRequest
from trainer_core.errors import UserError
from trainer_core.runs.events import Failed, Finished, Notice, Progress, Stage
from trainer_core.runs.folder import RunFolder
from tui.app import BackpropApp
from tui.screens.export import ExportScreen
from tui.widgets.export_choices import ExportChoices

SIZES = [(80, 24), (160, 50)]
WriteExport = Callable[..., WrittenExport]


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has: the tests say what is missing."""
    monkeypatch.setattr("tui.export_found.find_spec", lambda name: name)
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    monkeypatch.delenv("TMUX", raising=False)


@pytest.fixture
def run(write_run: WriteRun) -> WrittenRun:
    """A run with something to export."""
    run = write_run("first-run")
    train_something(run)
    run.show("finished")
    return run


@pytest.fixture
def write_export() -> Iterator[WriteExport]:
    """Makes exports of runs, and closes them."""
    written: list[WrittenExport] = []

    def write(run: WrittenRun, number: int = 1) -> WrittenExport:
        written.append(WrittenExport(run, number=number))
        return written[-1]

    yield write
    for one in written:
        one.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[ExportRequest]:
    """What was asked of jobs; they are never really started, but look as if."""
    asked: list[ExportRequest] = []

    def launch(request: ExportRequest) -> RunFolder:
        asked.append(request)
        path = Path(request.source) / "exports" / str(len(asked))
        path.mkdir(parents=True)
        return RunFolder(path)

    monkeypatch.setattr("tui.screens.export_job.launch_export", launch)
    return asked


async def go_to(app: BackpropApp, key: str) -> None:
    """Put the cursor on a line of the form."""
    await until(lambda: bool(app.screen.query(ExportChoices)), "the Export screen")
    choices = app.screen.query_one(ExportChoices)
    said = key.replace("export ", "exports/")

    def is_there() -> bool:
        choices.go(key)
        return text_of(app, "#about-text").startswith(said)

    await until(is_there, key)


def row(app: BackpropApp, label: str) -> str:
    """The line of the screen that has `label`."""
    return next((line for line in screen_text(app).splitlines() if label in line), "")


# --- the form ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_the_best_of_the_open_run_with_what_each_choice_takes(
    run: WrittenRun, size: tuple[int, int]
) -> None:
    async with opened(run, size) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "gguf q8_0" in screen_text(app), "the form")
        assert "first-run" in screen_text(app)
        assert "best  step 40, validation loss 0.2500" in screen_text(app)
        assert "[x]" in row(app, "] gguf q8_0")
        assert "2.0 MiB" in row(app, "] gguf q8_0")
        assert "[ ]" in row(app, "] merged")
        assert "3.8 MiB" in row(app, "] merged")
        assert " s" in row(app, "] merged")
        total = text_of(app, "#sum")
        assert "writes about 2.0 MiB" in total
        assert "free" in total


async def test_several_formats_are_chosen_and_asked_for(
    run: WrittenRun, asked: list[ExportRequest]
) -> None:
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        for key in ("adapter", "gguf q4_k_m", "onnx", "gguf q8_0"):
            await go_to(app, key)
            await pilot.press("space")
        await go_to(app, "gguf q6_k")
        await pilot.press("enter")
        assert "[x]" in row(app, "] gguf q6_k")
        assert "more" in text_of(app, "#sum")  # what lies beside them for a while
        await pilot.press("r")
        await until(lambda: bool(asked), "the start")
        assert asked[0].formats == ["adapter", "gguf", "onnx"]
        assert asked[0].quantizations == ["q4_k_m", "q6_k"]
        assert asked[0].checkpoint == "best"
        assert asked[0].source == str(run.folder.path)


async def test_a_checkpoint_is_chosen(run: WrittenRun, asked: list[ExportRequest]) -> None:
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "gguf q8_0" in screen_text(app), "the form")
        await pilot.press("c")
        await until(lambda: "step-60" in screen_text(app), "the list")
        await pilot.press("j", "j", "enter")
        await until(lambda: "step-60  step 60" in text_of(app, "#head"), "the checkpoint")
        await pilot.press("r")
        await until(lambda: bool(asked), "the start")
        assert asked[0].checkpoint == "step-60"


async def test_another_run_is_chosen(run: WrittenRun, write_run: WriteRun) -> None:
    other = write_run("other-run", created=time.time() - 100)
    train_something(other)
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "first-run" in text_of(app, "#head"), "the form")
        await pilot.press("o")
        await until(lambda: "Of which run?" in screen_text(app), "the list")
        await pilot.press("j", "enter")
        await until(lambda: "other-run" in text_of(app, "#head"), "the other")
        await pilot.press("1", "5")
        await until(lambda: "other-run" in text_of(app, "#head"), "the other, still")


async def test_the_list_of_runs_leads_here(run: WrittenRun, write_run: WriteRun) -> None:
    async with opened() as (app, pilot):
        await until(lambda: "first-run" in screen_text(app), "the list")
        await pilot.press("e")
        await until(lambda: "[5 Export]" in screen_text(app), "the screen")
        await until(lambda: "first-run" in text_of(app, "#head"), "the run")


async def test_without_a_run_it_says_so(write_run: WriteRun) -> None:
    async with opened() as (app, pilot):
        await pilot.press("5")
        await until(lambda: "No run to export" in screen_text(app), "the hint")
        await pilot.press("r", "space", "v", "y", "o", "c")
        await until(lambda: "there is no run to export" in screen_text(app), "why not")


async def test_a_run_that_has_trained_nothing_yet(
    write_run: WriteRun, asked: list[ExportRequest]
) -> None:
    run = write_run("young")
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "trained nothing yet" in screen_text(app), "the sentence")
        await pilot.press("r")
        train_something(run)
        await until(lambda: "gguf q8_0" in screen_text(app), "the form, by itself")
        assert not asked


async def test_a_run_of_another_version_is_exported_too(run: WrittenRun) -> None:
    run.folder.resolved.write_text("format: 1\n")
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "2.0 MiB" in row(app, "] gguf q8_0"), "its size")
        assert "Start the run anew" not in screen_text(app)


async def test_of_a_whole_model_there_is_no_adapter(write_run: WriteRun) -> None:
    run = write_run("whole")
    train_something(run, whole=True)
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "a whole model was trained" in row(app, "] adapter-gguf"), "why not")
        assert "3.8 MiB" in row(app, "] merged")


async def test_a_model_that_has_no_gguf_here_is_said_beforehand(
    write_run: WriteRun, tmp_path: Path, asked: list[ExportRequest]
) -> None:
    base = tmp_path / "other"
    shutil.copytree(BASE, base)
    config = (base / "config.json").read_text()
    (base / "config.json").write_text(config.replace('"llama"', '"falcon"'))
    run = write_run("another-kind")
    train_something(run, str(base))
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "falcon cannot be" in row(app, "] gguf q8_0"), "why not")
        assert "[x]" in row(app, "] merged")
        await go_to(app, "dtype")
        await pilot.press("space", "space", "r")
        await until(lambda: bool(asked), "the start")
        assert asked[0].formats == ["merged"]
        assert asked[0].dtype == "bfloat16"
        await pilot.press("v")
        await go_to(app, "dtype")
        await pilot.press("space", "space", "r")
        await until(lambda: len(asked) == 2, "the second start")
        assert asked[1].dtype is None


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_not_installed_says_how_to_add_it(
    run: WrittenRun, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    missing = {"llama_cpp", "onnxruntime_genai"}
    monkeypatch.setattr("tui.export_found.find_spec", lambda name: name not in missing or None)
    async with opened(run, size) as (app, pilot):
        await pilot.press("5")
        await go_to(app, "gguf q4_k_m")
        assert "needs llama-cpp-python" in row(app, "] gguf q4_k_m")
        await pilot.press("y")
        assert app.clipboard == "CMAKE_ARGS=-DGGML_NATIVE=OFF pip install 'backprop-tui[export]'"
        await pilot.press("space")
        await until(lambda: "cannot be written" in text_of(app, "#ending"), "the refusal")
        await go_to(app, "onnx")
        await pilot.press("y")
        assert app.clipboard == "pip install 'backprop-tui[onnx]'"
        await go_to(app, "gguf q8_0")
        assert "needs llama-cpp-python" in row(app, "] gguf q8_0")
        assert "Without its check it could be written" in screen_text(app)
        await go_to(app, "check")
        await pilot.press("space")
        await go_to(app, "gguf q8_0")
        assert "2.0 MiB" in row(app, "] gguf q8_0")
        await go_to(app, "gguf q4_k_m")
        assert "needs llama-cpp-python" in row(app, "] gguf q4_k_m")


async def test_all_types_of_gguf_are_there_when_wanted(run: WrittenRun) -> None:
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await go_to(app, "more")
        await pilot.press("enter")
        await go_to(app, "gguf mxfp4")
        await pilot.press("space")
        await go_to(app, "more")
        await pilot.press("enter")
        await go_to(app, "gguf mxfp4")
        assert "[x]" in row(app, "] gguf mxfp4")
        choices = app.screen.query_one(ExportChoices)
        assert "gguf q2_k" not in [option.id for option in choices.options]


async def test_a_name_in_ollama_and_where_it_goes(
    run: WrittenRun, asked: list[ExportRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "gpu.example:11434")
    async with opened(run, (160, 50)) as (app, pilot):
        await pilot.press("5")
        await go_to(app, "ollama")
        await pilot.press("enter", *"a b", "enter")
        await until(lambda: "a name in Ollama has letters" in text_of(app, "#ending"), "why not")
        await pilot.press("enter", *"my-model:v1", "enter")
        await until(lambda: "registered at gpu.example:11434" in screen_text(app), "where")
        assert "on another machine" in text_of(app, "#about-text")
        await pilot.press("r")
        await until(lambda: "ollama_remote must allow" in text_of(app, "#ending"), "why not")
        await go_to(app, "ollama_host")
        await pilot.press("enter", *"localhost:4321", "enter")
        await until(lambda: "registered at localhost:4321" in screen_text(app), "where")
        await go_to(app, "gguf q8_0")
        await pilot.press("space")
        await go_to(app, "merged")
        await pilot.press("space", "r")
        await until(lambda: "Ollama takes a GGUF" in text_of(app, "#ending"), "why not")
        await go_to(app, "gguf q8_0")
        await pilot.press("space")
        await go_to(app, "force")
        await pilot.press("space", "r")
        await until(lambda: bool(asked), "the start")
        assert asked[0].force is True
        assert (asked[0].ollama, asked[0].ollama_host) == ("my-model:v1", "localhost:4321")


async def test_typing_can_be_given_up(run: WrittenRun, asked: list[ExportRequest]) -> None:
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await go_to(app, "name")
        await pilot.press("enter", *"q15 x", "escape")
        await until(lambda: "[5 Export]" in screen_text(app), "the form, still")
        await pilot.press("enter", *"short", "enter")
        await until(lambda: "short" in row(app, "name "), "the name")
        await pilot.press("r")
        await until(lambda: bool(asked), "the start")
        assert asked[0].name == "short"


async def test_a_quantised_base_offers_to_be_turned_back(
    write_run: WriteRun, tmp_path: Path, asked: list[ExportRequest]
) -> None:
    base = tmp_path / "quantised"
    shutil.copytree(BASE, base)
    config = (base / "config.json").read_text()
    marked = config.replace("{", '{"quantization_config": {"load_in_4bit": true},', 1)
    (base / "config.json").write_text(marked)
    run = write_run("of-four-bits")
    train_something(run, str(base))
    async with opened(run, (160, 50)) as (app, pilot):
        await pilot.press("5")
        await go_to(app, "dequantize")
        assert "rounded away stays lost" in text_of(app, "#about-text")
        await pilot.press("space", "r")
        await until(lambda: bool(asked), "the start")
        assert asked[0].dequantize is True


async def test_without_room_it_does_not_start(
    run: WrittenRun, asked: list[ExportRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.export_found._free", lambda path: 1 << 20)
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "1.0 MiB are" in text_of(app, "#sum"), "the sentence")
        assert "✖ 2.4 MiB should be free" in text_of(app, "#sum")
        await pilot.press("r")
        await until(lambda: "should be free" in text_of(app, "#ending"), "the refusal")
        assert not asked


async def test_what_the_start_refuses_is_said_on_the_form(
    run: WrittenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(request: ExportRequest) -> RunFolder:
        raise UserError("the folder is not writable", hint="Name another.")

    monkeypatch.setattr("tui.screens.export_job.launch_export", launch)
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "gguf q8_0" in screen_text(app), "the form")
        await pilot.press("r")
        await until(lambda: "✖ the folder is not writable" in text_of(app, "#ending"), "why")
        await pilot.press("r")
        await until(lambda: "gguf q8_0" in screen_text(app), "the form, still")


async def test_a_base_that_is_gone_is_said_and_sizes_are_not_made_up(write_run: WriteRun) -> None:
    run = write_run("orphan")
    train_something(run, "/nowhere/base")
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "/nowhere/base does not exist" in screen_text(app), "the note")
        assert "?" in row(app, "] gguf q8_0")
        assert "of a size not known" in text_of(app, "#sum")


# --- a job ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_a_running_export_is_followed_to_its_end(
    run: WrittenRun, write_export: WriteExport, size: tuple[int, int]
) -> None:
    export = write_export(run)
    export.live()
    async with opened(run, size) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "exports/1  ▶ running" in screen_text(app), "the export, by itself")
        export.say(
            Stage(stage="converting", detail="demo-Q8_0.gguf"),
            Progress(
                stage="converting",
                done=512 << 20,
                total=2 << 30,
                unit="bytes",
                rate=float(64 << 20),
            ),
        )
        await until(lambda: "▶ converting" in screen_text(app), "the stage")
        await until(lambda: "25%" in screen_text(app), "the bar")
        words = "512.0 MiB of 2.0 GiB, 64.0 MiB a second, 24 s left"
        assert words in screen_text(app)
        assert "✔ reading" in screen_text(app)
        await pilot.press("1", "5")
        await until(lambda: words in screen_text(app), "the same, after another screen")
        export.say(Stage(stage="checking"), exported(check=checked()), exported(check=checked()))
        export.say(
            Notice(message="Ollama is old", hint="Update it."),
            Finished(
                outcome="finished",
                step=0,
                elapsed=65.0,
                saved="x",
                message="2 written",
                commands=["ollama run my-model"],
            ),
        )
        await until(lambda: "finished after 1 min 05 s: 2 written" in screen_text(app), "the end")
        assert "! Ollama is old. Update it." in screen_text(app)
        assert "$ ollama run my-model" in screen_text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_the_check_and_what_to_do_next(
    run: WrittenRun, write_export: WriteExport, size: tuple[int, int]
) -> None:
    export = write_export(run)
    export.say(
        Stage(stage="checking"),
        exported(check=checked()),
        exported("merged", check=checked(divergence=0.3), commands=0),
        exported("adapter", check=None, commands=1),
    )
    export.say(Failed(message="merged does not speak like the trained model", hint="Look."))
    export.show("failed")
    async with opened(run, size) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "gguf q8_0" in screen_text(app), "the form")
        await pilot.press("v")
        await until(lambda: "failed: merged does not speak" in screen_text(app), "the failure")
        await until(lambda: "it differs: beyond its limit: mean KL" in screen_text(app), "why")
        assert "✖ merged" in screen_text(app)
        assert row(app, "✖ mean KL").split()[-3:] == ["0.3", "≤", "0.05"]
        assert "✔ strings tokenised alike" in screen_text(app)
        await pilot.press("k")
        await until(lambda: "it speaks like the trained model" in screen_text(app), "the verdict")
        assert row(app, "✔ mean KL").split()[-3:] == ["0.001", "≤", "0.05"]
        await pilot.press("J", "J", "J")
        await until(lambda: "hums." in screen_text(app), "what both said")
        assert "both say cities." in screen_text(app)
        assert "$ llama-cli -m demo-1.gguf" in screen_text(app)
        await pilot.press("y")
        assert app.clipboard == "llama-cli -m demo-1.gguf"
        await pilot.press("y")
        assert app.clipboard == "llama-cli -m demo-2.gguf"
        assert "Copied 2 of 2: llama-cli -m demo-2.gguf" in notices(app)
        await pilot.press("G")
        await until(lambda: "Not checked" in screen_text(app), "the third")


async def test_the_dashboard_opened_anew_finds_the_running_export(
    run: WrittenRun, write_run: WriteRun, write_export: WriteExport
) -> None:
    newer = write_run("newer", created=time.time() + 10)
    train_something(newer)
    export = write_export(run, number=3)
    export.live()
    async with opened() as (app, pilot):
        await pilot.press("5")
        await until(lambda: "exports/3  ▶ running" in screen_text(app), "the export")
        await pilot.press("escape")
        await until(lambda: "exports/3 goes on: v shows it" in screen_text(app), "the form")
        await pilot.press("r")
        await until(lambda: "Start another beside it" in screen_text(app), "the question")
        await pilot.press("enter")
        await until(lambda: "exports/3  ▶ running" in screen_text(app), "the export again")
        await pilot.press("n")
        await pilot.press("v")
        await until(lambda: "exports/3  ▶ running" in screen_text(app), "the export again")


async def test_earlier_exports_are_listed_and_looked_at(
    run: WrittenRun, write_export: WriteExport
) -> None:
    for number in (1, 2):
        export = write_export(run, number)
        export.say(exported(check=checked()))
        export.say(Finished(outcome="finished", step=0, elapsed=number, message="1 written"))
        export.show("finished")
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await go_to(app, "export 1")
        assert "✔ finished" in row(app, "exports/1")
        assert "gguf q8_0 of best" in row(app, "exports/2")
        await pilot.press("enter")
        await until(lambda: "finished after 1 s: 1 written" in screen_text(app), "the first")
        await pilot.press("n")
        await go_to(app, "export 2")
        await pilot.press("enter")
        await until(lambda: "finished after 2 s: 1 written" in screen_text(app), "the second")
        await pilot.press("escape", "escape")
        await until(lambda: "[1 Runs]" in screen_text(app), "the list of runs")


async def test_stopping_and_leaving_ask_first(run: WrittenRun, write_export: WriteExport) -> None:
    export = write_export(run)
    export.live()
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "▶ running" in screen_text(app), "the export")
        await pilot.press("x")
        await until(lambda: "Stop this export?" in screen_text(app), "the question")
        await pilot.press("down", "enter")
        await until(lambda: any("cannot be reached" in n for n in notices(app)), "nobody hears")
        await pilot.press("q")
        await until(lambda: "Leave it running" in screen_text(app), "the question")
        await pilot.press("escape")
        await until(lambda: "Leave it running" not in screen_text(app), "the screen again")
        export.say(Finished(outcome="stopped", step=0, elapsed=3, message="stopped"))
        await until(lambda: "■ stopped after 3 s" in screen_text(app), "the end")
        await pilot.press("x")
        await until(lambda: any("has ended" in n for n in notices(app)), "why not")
        await pilot.press("q")
        await until(lambda: app._exit, "the exit, without a question")


async def test_an_export_without_a_process_died(run: WrittenRun, write_export: WriteExport) -> None:
    export = write_export(run)
    export.say(Stage(stage="reading"))
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await go_to(app, "export 1")
        await pilot.press("enter")
        await until(lambda: "✖ died without a word" in screen_text(app), "the sentence")
        assert "worker.log" in text_of(app, "#ending").replace("\n", "")


# --- everything ----------------------------------------------------------------------------------


async def test_help_shows_the_keys(run: WrittenRun) -> None:
    async with opened(run, (80, 50)) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "gguf q8_0" in screen_text(app), "the form")
        await pilot.press("question_mark")
        await until(lambda: "Choose the best, the last or a checkpoint" in screen_text(app), "help")
        assert "Stop the export" not in screen_text(app)  # of no use here


@pytest.mark.parametrize("text", ["[/x] [bold", "[@click=app.quit]x[/]", "\x1b]52;c;x\x07y\u202e"])
@pytest.mark.parametrize("size", some(SIZES, 2))
async def test_hostile_text_stays_text(
    write_run: WriteRun, write_export: WriteExport, text: str, size: tuple[int, int]
) -> None:
    run = write_run(f"name {text}", model=f"model {text}")
    train_something(run)
    export = write_export(run)
    check = checked(differs=f"differs {text}")
    check.spoken[0].trained = f"says {text}"
    check.measures[0].name = f"measures {text}"
    check.runtime = f"runtime {text}"
    one = exported(check=check)
    one.commands = [f"run {text}"]
    one.path = f"path {text}"
    export.say(
        Stage(stage=f"stage {text}", detail=text),
        Progress(stage="x", done=1, total=2, unit=text),
        Notice(message=f"notice {text}", hint=text),
        one,
    )
    export.live()
    async with opened(run, size) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "differs differs" in screen_text(app).replace(":", ""), "the check")
        await pilot.press("y", "J", "J")
        export.say(Failed(message=f"because {text}", hint=text))
        export.show("failed", f"because {text}")
        await until(lambda: "because" in screen_text(app), "the end")
        bad = {"\x1b", "\x07", "\u202e"}
        assert not bad & set(screen_text(app) + app.clipboard)
        await pilot.press("n")
        await go_to(app, "export 1")
        assert not bad & set(screen_text(app))


async def test_every_size(run: WrittenRun, write_export: WriteExport) -> None:
    export = write_export(run)
    export.live()
    export.say(exported(check=checked()), exported(check=checked(0.5)))
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "▶ running" in screen_text(app), "the export")
        for width, height in ((1, 1), (300, 100), (2, 60), (200, 2), (30, 8), (80, 24)):
            await pilot.resize_terminal(width, height)
            export.say(Progress(stage="x", done=width, total=300, unit="bytes"))
            await pilot.press("j", "v", "j", "v", "tab", "J", "y")
        await until(lambda: "▶ running" in screen_text(app), "the screen, whole again")


async def test_without_unicode_it_is_ascii(
    run: WrittenRun, write_export: WriteExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    export = write_export(run)
    export.live()
    export.say(exported(check=checked(0.5)))
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: "it differs" in screen_text(app), "the check")
        assert screen_text(app).isascii()
        await pilot.press("v")
        await until(lambda: "gguf q8_0" in screen_text(app), "the form")
        assert screen_text(app).isascii()


async def test_the_screen_is_an_export_screen(run: WrittenRun) -> None:
    async with opened(run) as (app, pilot):
        await pilot.press("5")
        await until(lambda: isinstance(app.screen, ExportScreen), "the screen")
