"""What a person reads when a run has ended, however it ended."""

import json
import math
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.history.written import compared, export, prediction
from tests.tui.written_runs import WrittenRun
from trainer_core.hardware.gpus import Gpu
from trainer_core.report import machine
from trainer_core.report.comparison import write_comparison
from trainer_core.report.plots import draw_together
from trainer_core.report.write import write_report
from trainer_core.runs.curves import curve_path, pack
from trainer_core.runs.events import (
    Answer,
    Checkpoint,
    Eval,
    Event,
    Failed,
    Finished,
    Hardware,
    Notice,
    Plan,
    Samples,
    Scored,
    Stage,
    encode,
)
from trainer_core.runs.multi_run_events import Spread
from trainer_core.worker import reporting

GIB = 1 << 30


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WrittenRun]:
    """Forty steps of a hundred, with everything that a run says on its way."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    written = WrittenRun(tmp_path / "run", "a-run", "models/tiny")
    written.say(Stage(stage="starting"), Stage(stage="training"), answered("before", 0, "hm?"))
    written.train(1, 40, lambda step: 2.0 / step)
    for step, loss in ((20, 0.5), (30, 0.25), (40, 0.75)):
        written.say(Eval(step=step, epoch=0.4, loss=loss, best=loss < 0.75))
    written.say(Checkpoint(step=20, path="checkpoints/step-20", reason="interval"))
    written.say(Notice(message="3 rows dropped: empty", hint="First: a.jsonl:7"))
    written.say(*(hardware(minute) for minute in range(5)))
    yield written
    written.close()


def answered(when: str, step: int, text: str, prompt: str = "What is a hen?") -> Samples:
    answers = [Answer(prompt=prompt, answer=text)]
    return Samples.model_validate({"when": when, "step": step, "answers": answers})


def hardware(minute: int) -> Hardware:
    return Hardware(
        time=1e9 + 60 * minute,
        cpu=50.0,
        ram_used=4 * GIB,
        ram_total=8 * GIB,
        process_ram=GIB + minute,
        disk_used=0,
        disk_total=1,
    )


def ended(run: WrittenRun, *last: Event) -> str:
    """The report once the run has said its last words."""
    run.say(*last)
    return write_report(run.folder).read_text()


def rows(text: str, section: str) -> list[list[str]]:
    """The cells of the tables under a heading."""
    part = text.split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_a_run_that_finished(run: WrittenRun) -> None:
    summary = {"first_loss": 2.0, "last_loss": 0.05, "memory_peak": 1.5 * GIB,
               "memory_estimate": 2.0 * GIB, "memory_error": 1 / 3}  # fmt: skip
    text = ended(
        run,
        answered("during", 10, "A hen."),
        answered("during", 20, "A bird."),
        answered("during", 30, "A bird."),
        answered("after", 40, "A bird."),
        Finished(outcome="finished", step=40, elapsed=60.0, summary=summary),
    )
    assert text.startswith("# a-run\n\n**Finished** at step 40 of 100.")
    assert ["best validation loss", "0.2500 at step 30, perplexity 1.28"] in rows(text, "Results")
    assert ["memory", "1.5 GiB at most; the plan said 2.0 GiB, +33%"] in rows(text, "Results")
    assert "- 3 rows dropped: empty. First: a.jsonl:7" in text
    assert rows(text, "Sample answers")[2:] == [
        ["What is a hen?", "", ""],
        ["", "before", "hm?"],
        ["", "step 10", "A hen."],
        ["", "steps 20 to 40", "A bird."],
    ]
    assert ["20", "interval", "removed"] in rows(text, "Checkpoints")
    drawn = re.findall(r"!\[.+\]\((.+)\)", text)
    assert drawn == [
        f"plots/{name}.png" for name in ("loss", "learning_rate", "tokens_per_second", "memory")
    ]
    for name in drawn:
        assert (run.folder.path / name).read_bytes()[:4] == b"\x89PNG"


def test_exports_and_how_their_checks_went(run: WrittenRun) -> None:
    limit = {"name": "divergence in nats, mean", "limit": 0.1}
    export(
        run,
        **{
            "a-Q8_0.gguf": {"runtime": "llama.cpp", "measures": [{**limit, "value": 0.01}]},
            "onnx": {"runtime": "onnxruntime", "measures": [{**limit, "value": 0.5}]},
            "merged": None,
        },
    )
    made = run.folder.exports / "1"
    (made / "a-Q8_0.gguf").write_bytes(bytes(2048))
    (made / "onnx").mkdir()
    (made / "onnx" / "model.onnx").write_bytes(bytes(1024))
    assert rows(ended(run), "Exports")[2:] == [
        ["exports/1/a-Q8\\_0.gguf", "2.0 KiB", "passed in llama.cpp"],
        ["exports/1/onnx", "1.0 KiB", "FAILED in onnxruntime: divergence in nats, mean: 0.5, "
         "and at most 0.1 is right"],
        ["exports/1/merged", "removed", "not checked"],
    ]  # fmt: skip
    (made / "check.json").write_text('{"artefacts": {"onnx": {"runtime": 1}}}')
    assert "check.json" in ended(run).split("## Not read")[1]


def test_scores_while_training(run: WrittenRun) -> None:
    for step, value in ((20, 0.25), (40, 0.75)):
        found = {name: Spread(value=value, low=0.2, high=0.8) for name in ("exact", "chrf")}
        run.say(Scored(step=step, rows=20, scores=found))
    text = ended(run)
    assert "While training, at step 40: 20 rows of validation" in text
    assert rows(text, "Scores")[2:] == [
        ["exact", "0.750 (0.200 to 0.800)"], ["chrf", "0.750 (0.200 to 0.800)"],
    ]  # fmt: skip
    assert "(plots/scores.png)" in text
    assert (run.folder.plots / "scores.png").is_file()


def test_scores_of_answers_say_whose_they_are(run: WrittenRun, tmp_path: Path) -> None:
    run.folder.config.write_text("")
    first = prediction(run, {"a?": ("A", "A"), "b?": ("B", "x")}, checkpoint="step-20", split=None)
    summary = json.loads((first.path / "summary.json").read_text()) | {"split": "validation"}
    (first.path / "summary.json").write_text(json.dumps(summary))
    base = prediction(run, {"a?": ("A", "x")}, base=True, prompts=str(first.predictions_file))
    compared(first, base)
    other = WrittenRun(tmp_path / "other", "an|other")
    other.folder.config.write_text("")
    of_other = prediction(other, {"a?": ("A", "x")}, prompts=str(first.predictions_file))
    compared(prediction(run, {"a?": ("A", "A")}, prompts="/away/questions.txt"), of_other)
    text = ended(run)
    other.close()
    part = text.split("## Scores\n")[1].split("\n## ")[0]
    assert "`predictions/1`: step-20, 2 rows (split validation)" in part
    assert "`predictions/2`: the base, 1 row (split validation)" in part
    assert "`predictions/3`: what was trained, 1 row (prompts questions.txt)" in part
    cells = rows(text, "Scores")
    assert cells[0] == ["score", "value (95 %)", "difference from the base"]
    assert cells[2] == ["exact", "0.500 (0.000 to 1.000)", "+0.250 (+0.125 to +0.375)"]
    assert cells[3] == ["score", "value (95 %)"]
    assert cells[6][2] == "difference from what was trained of an\\|other"


@pytest.mark.parametrize(("device", "taken"), [("RAM", "1.0 GiB"), ("GPU 1: X", "3.0 GiB")])
def test_memory_of_a_run_that_broke_off(run: WrittenRun, device: str, taken: str) -> None:
    memory = {"device": device, "total": 2 * GIB}
    run.say(Plan(total_steps=100, epochs=1, values={}, reasons={}, memory=memory))
    gpus = [Gpu(index=n, name="X", memory_used=used * GIB) for n, used in enumerate((9, 3))]
    run.say(hardware(6).model_copy(update={"gpus": gpus}))
    said = f"{taken} at most in the samples of the machine; the plan said 2.0 GiB"
    assert ["memory", said] in rows(ended(run, Failed(message="killed", step=40)), "Results")


def test_a_long_run_has_no_more_points_than_can_be_drawn(
    run: WrittenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "MOST_POINTS", 10)
    high = hardware(33).model_copy(update={"cpu": 99.0})
    run.say(*(hardware(minute) for minute in range(5, 33)), high)
    run.say(*(hardware(minute) for minute in range(34, 95)))
    found = machine.machine_curves(run.folder)
    assert 10 <= len(found["minutes"]) < 20
    assert found["minutes"][-1] == 94
    assert found["minutes"] == sorted(found["minutes"])
    assert max(found["cpu"]) == 99.0


def test_what_is_damaged_costs_no_report(run: WrittenRun) -> None:
    with run.folder.hardware_metrics.open("a") as file:
        for line in ('{"time": NaN}', '{"time": 1e999, "cpu": 1}', "[" * 100_000, '{"gpus": [3]}'):
            file.write(f"{line}\n")
    time = 1e9 + 600
    sample = hardware(10).model_dump(exclude={"n", "type"}) | {"time": float("nan")}
    with run.folder.hardware_metrics.open("a") as file:
        file.write(f"{json.dumps(sample)}\n{json.dumps(sample | {'time': time, 'cpu': 1e999})}\n")
    points = b"".join(pack(step, step) for step in (-1e308, 1e308, math.inf))
    curve_path(run.folder.curves, "grad_norm").write_bytes(points)
    with run.folder.events.open("ab") as events:
        far = Eval(n=9000, step=10**400, epoch=1, loss=1.0, best=False)
        events.write(encode(far) + b"\n")
    run.folder.identity.write_text('{"format": 1, "base": "x", "data": []}')
    (run.folder.predictions / "\N{SUPERSCRIPT TWO}").mkdir(parents=True)
    text = ended(run)
    assert "plots/memory.png" in text
    assert machine.machine_curves(run.folder)["minutes"] == [0, 1, 2, 3, 4]
    assert "identity.json" in text.split("## Not read")[1]
    assert r"grad\_norm.png" in text.split("## Not read")[1]


def test_a_report_that_takes_too_long_is_ended_and_that_is_said(
    run: WrittenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "WRITER", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(reporting, "SECONDS", 0.1)
    reporting.report_on(run.folder)
    assert f"backprop report {run.folder.path}" in run.folder.worker_log.read_text()


def test_plots_replace_those_of_before(run: WrittenRun) -> None:
    write_report(run.folder)
    (run.folder.curves / "learning_rate.f64").unlink()
    mine = run.folder.plots / "of-my-own.png"
    mine.touch()
    before = (run.folder.plots / "loss.png").read_bytes()
    run.train(41, 90, lambda step: 5.0)
    text = write_report(run.folder).read_text()
    assert "learning_rate.png" not in text
    assert not (run.folder.plots / "learning_rate.png").exists()
    assert (run.folder.plots / "loss.png").read_bytes() != before
    assert mine.exists()


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (Failed(message="the GPU is gone", hint="Reset it.", step=40),
         "**Failed** at step 40 of 100: the GPU is gone. Reset it."),
        (Finished(outcome="stopped", step=40, elapsed=1.0, message="stopped and saved at step 40"),
         "**Stopped** at step 40 of 100: stopped and saved at step 40."),
        (Failed(message="it is empty", hint="See ../data/train.jsonl:3", step=40),
         "step 40 of 100: it is empty. See ../data/train.jsonl:3\n"),
        (Stage(stage="training"), "**Died**, at step 40 of 100."),
    ],
)  # fmt: skip
def test_however_it_ends(run: WrittenRun, last: Event, said: str) -> None:
    assert said in ended(run, last)


def test_a_message_is_whole(run: WrittenRun) -> None:
    hint = f"{'say it again and ' * 40}backprop train --resume /home/me/runs/a-run"
    text = ended(
        run,
        Notice(message="a warning", hint=hint),
        answered("during", 40, hint),
        Failed(message="gone", hint=hint, step=40),
    )
    assert text.count("backprop train --resume /home/me/runs/a-run") == 3


def test_of_very_many_the_ends_are_shown(run: WrittenRun) -> None:
    for step in range(1, 101):
        run.say(answered("during", step, f"answer {step}"), Notice(message=f"warning {step}"))
    text = ended(run)
    answers = [row[1] for row in rows(text, "Sample answers")[3:]]
    assert answers[0] == "before"
    assert answers[1:7] == ["step 1", "step 2", "step 3", "step 4", "… 91 more", "step 96"]
    assert len(answers) == 11
    warnings = text.split("## Warnings")[1].split("##")[0].strip().splitlines()
    assert (warnings[5], warnings[-1], len(warnings)) == ("- … 91 more", "- warning 100.", 11)


def test_a_run_that_never_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    written = WrittenRun(tmp_path / "run", "nothing")
    text = ended(written, Failed(message="the data is empty", cause="user", step=0))
    written.close()
    assert "**Failed** at the start: the data is empty" in text
    assert "plots/" not in text


class _Page(HTMLParser):
    """Its tags, and whatever it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]


def test_the_page_needs_nothing_beside_it_and_runs_nothing(run: WrittenRun) -> None:
    hostile = [
        "</td></table><script>alert(1)</script>",
        "![x](https://example.com/x.png) [y](javascript:alert(1)) <img src=x onerror=alert(1)>",
        "a | b \\| c `d` \x1b[31mred\x1b[0m \u202e",
        "```\n# not a heading\n```",
    ]
    said = [Answer(prompt=text, answer=text) for text in hostile]
    run.say(Samples(when="after", step=40, answers=said))
    run.say(Failed(message=hostile[0], hint=hostile[1], step=40))
    page = run.folder.path / "page.html"
    assert write_report(run.folder, page) == page
    text, found = page.read_text(), _Page()
    found.feed(text)
    assert not found.tags & {"script", "a", "iframe", "link", "object"}
    assert len(found.fetched) == 4
    assert all(source.startswith("data:image/png;base64,") for source in found.fetched)
    assert "alert(1)" in text  # it is said, not done
    report = run.folder.report.read_text()
    assert not {"\x1b", "\u202e"} & set(text + report)
    assert all(len(row) == 3 for row in rows(report, "Sample answers"))
    assert len(rows(report, "Sample answers")) == 2 + 2 * (len(hostile) + 1)
    assert "\n# not a heading" not in report


def test_runs_in_one_picture(run: WrittenRun, tmp_path: Path) -> None:
    folders = [("a", run.folder), (r"$\frac$", run.folder)]  # no formula, whatever is in a name
    together = draw_together(folders, "loss", "loss")
    assert together is not None
    assert together[:4] == b"\x89PNG"
    assert draw_together([("a", run.folder)], "never", "never") is None


def test_a_page_of_two_runs(run: WrittenRun, tmp_path: Path) -> None:
    page, found = tmp_path / "page.html", _Page()
    lines = ["settings", "  lr  1  2", "~~~~~~", "<script>alert(1)</script>"]
    write_comparison(page, [("a", run.folder), ("<b>", run.folder)], lines)
    found.feed(page.read_text())
    assert len(found.fetched) == 4
    assert all(source.startswith("data:image/png;base64,") for source in found.fetched)
    assert not found.tags & {"script", "a", "b"}
    assert "  lr  1  2" in page.read_text()
