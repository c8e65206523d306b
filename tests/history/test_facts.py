"""The facts of a run, read from its folder, whatever became of it."""

import json
import random
import shutil
from pathlib import Path

import pytest

from tests.history.written import checkpoint, compared, entry_of, export, finished, prediction
from tests.tui.written_runs import WrittenRun, metrics
from trainer_core.cli.runs_page import page_lines
from trainer_core.history.facts import RunFacts
from trainer_core.history.reading import read_facts
from trainer_core.runs.curves import pack
from trainer_core.runs.events import Failed, Hardware, Plan
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder

SAME = {"name": "likeliest token the same, share", "limit": 0.9, "at_least": True}
PASSED = {"passed": True, "runtime": "llama.cpp", "measures": [{**SAME, "value": 1.0}]}
FAILED = {"passed": False, "runtime": "llama.cpp", "measures": [{**SAME, "value": 0.5}]}


@pytest.fixture
def facts(tmp_path: Path) -> RunFacts:
    run = finished(tmp_path / "run", "one", "training.steps=10")
    checkpoint(run.folder, 5)
    export(run, **{"a-Q8_0.gguf": PASSED, "b.gguf": FAILED, "adapter": None})
    ours = prediction(run, {"a?": ("A", "A"), "b?": ("B", "C")})
    compared(ours, prediction(run, {"a?": ("A", "x")}, base=True))
    return read_facts(entry_of(run))


def test_numbers(facts: RunFacts) -> None:
    assert (facts.id, facts.state, facts.step, facts.total_steps) == ("one", "finished", 10, 10)
    assert facts.loss is not None
    assert (facts.loss.first, facts.loss.last, facts.loss.best_step) == (2.0, 0.2, 10)
    assert facts.eval_loss is not None
    assert (facts.eval_loss.points, facts.eval_loss.best_step) == (2, 10)
    assert facts.eval_loss.best == pytest.approx(0.3)
    assert (facts.tokens, facts.tokens_per_second, facts.resumes) == (1000, 1234.0, 0)
    assert facts.memory.peak == 2 << 20
    assert facts.memory.device == "RAM"
    assert facts.memory.planned is not None
    assert facts.memory.planned > 100 << 20  # as resolved.yaml says
    assert facts.seconds is not None
    assert facts.material["train"].rows == 508
    assert facts.warnings == ["the adapter may be too small"]
    assert not facts.unread


def test_settings_have_their_origin(facts: RunFacts) -> None:
    assert facts.settings["training.steps"].origin == "user"
    rate = facts.settings["training.learning_rate"]
    assert (rate.origin, bool(rate.why)) == ("auto", True)
    assert facts.settings["training.scheduler"].origin == "default"


def test_what_was_made(facts: RunFacts) -> None:
    assert [place.name for place in facts.trained] == ["step-5"]
    assert [(a.path, a.passed) for a in facts.exports[0].artefacts] == [
        ("a-Q8_0.gguf", True), ("b.gguf", False), ("adapter", None),
    ]  # fmt: skip
    assert "0.5, and at least 0.9 is right" in facts.exports[0].artefacts[1].differs
    first, base = facts.predictions
    assert (first.asked, first.rows, first.base, base.base) == ("split test", 2, False, True)
    assert first.scores["exact"].value == 0.5
    assert (first.model, first.other_model, base.model) == (
        "what was trained", "the base", "the base",
    )  # fmt: skip


def test_the_page_has_all_of_it_in_80_columns(facts: RunFacts) -> None:
    page = page_lines(facts)
    assert page[0] == "one: finished"
    said = "\n".join(page)
    for words in (
        "10 of 10", "2.0000 → 0.2000, lowest 0.2000 at step 10", "0.3000 at best (step 10)",
        "train 508 of", "a-Q8_0.gguf: check passed", "b.gguf: CHECK FAILED: likeliest",
        "adapter: not checked", "what was trained, split test, 2 rows; beside the base",
        "exact  0.500  [0.000, 1.000]  +0.250  [+0.125, +0.375]", "the adapter may be too small",
        "training.learning_rate",
    ):  # fmt: skip
        assert words in said
    longest = max((line for line in page if "/" not in line), key=len)
    assert len(longest) <= 80
    assert len(page) < 70


def test_json_gives_the_facts_back(facts: RunFacts) -> None:
    assert RunFacts.model_validate_json(facts.model_dump_json()) == facts


def test_resumes_add_up(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "one")
    once = read_facts(entry_of(run))
    recorder = Recorder(run.folder, lambda event: None)
    recorder.record(Plan(total_steps=10, epochs=1, values={}, reasons={}, resumed_from=8))
    for step in (9, 10):
        recorder.record(metrics(step, 1.0))
    recorder.close()
    twice = read_facts(entry_of(run))
    assert (once.resumes, twice.resumes) == (0, 1)
    assert once.seconds is not None
    assert twice.seconds is not None
    assert twice.seconds >= once.seconds
    assert twice.memory.peak is None  # it was not said again
    assert twice.loss is not None
    assert (twice.loss.points, twice.loss.last) == (10, 1.0)


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_folder_is_read_as_far_as_it_goes(tmp_path: Path, seed: int) -> None:
    run = finished(tmp_path / "run", "one")
    checkpoint(run.folder, 5)
    export(run, a=PASSED)
    prediction(run, {"a?": ("A", "A")})
    part = run.folder.part(1)
    part.path.mkdir()
    part.done.write_text('{"steps": 3}')
    draw = random.Random(seed)
    for path in sorted(run.folder.path.rglob("*")):
        if path.is_file() and path.name != "status.json":
            raw = path.read_bytes()
            kind = draw.randrange(5)
            if kind == 0:
                path.unlink()
            elif kind == 1:
                path.write_bytes(raw[: draw.randrange(len(raw) + 1)])
            elif kind == 2:
                path.write_bytes(draw.randbytes(200))
            elif kind == 3:
                path.write_text('[{"data": 3}]\n' if "json" in path.name else "[]")
    facts = read_facts(entry_of(run))
    assert (facts.id, facts.state) == ("one", "finished")
    json.loads(facts.model_dump_json())
    assert page_lines(facts)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "one")
    export(run, a=PASSED)
    run.folder.resolved.write_text("format: 99\n")
    run.folder.identity.write_text("{")
    (run.folder.exports / "1" / "check.json").write_text("{")
    facts = read_facts(entry_of(run))
    said = "\n".join(facts.unread)
    assert "resolved.yaml" in said
    assert "identity.json" in said
    assert "exports/1/check.json" in said
    assert facts.loss is not None  # the rest is there
    assert "cannot be read" in page_lines(facts)


HOSTILE = ['{"tokens": 1e999}', "[" * 100_000, f'{{"tokens": 1{"0" * 4000}}}', '{"tokens": NaN}']


@pytest.mark.parametrize("line", HOSTILE)
def test_no_number_and_no_nesting_is_too_much(tmp_path: Path, line: str) -> None:
    run = finished(tmp_path / "run", "one")
    files = (run.folder.training_metrics, run.folder.hardware_metrics, run.folder.events)
    for name in ("log", "train_end"):
        event = line.replace("{", f'{{"event": "{name}", "time": 1e999, "memory_peak": 1e999, ')
        for path in files:
            with path.open("a") as file:
                file.write(f"{event}\n")
    (run.folder.path / "run-01").mkdir()
    for name in ("identity.json", "replay.json", "run-01/done.json", "resolved.yaml"):
        (run.folder.path / name).write_text(line)
    run.folder.curves.joinpath("eval_loss.f64").write_bytes(pack(float("inf"), 1.0))
    facts = read_facts(entry_of(run))
    assert facts.loss is not None
    json.loads(facts.model_dump_json())
    assert page_lines(facts)


def test_memory_of_a_run_that_broke_off(tmp_path: Path) -> None:
    run = WrittenRun(tmp_path / "run", "one")
    run.say(Plan(total_steps=10, epochs=1, values={}, reasons={}))
    sample = {"cpu": 1, "ram_used": 9, "ram_total": 9, "disk_used": 0, "disk_total": 0}
    for taken in (2, 5, 3):
        run.say(Hardware.model_validate({**sample, "process_ram": taken << 30}))
    run.say(Failed(message="killed", step=3))
    run.close()
    facts = read_facts(entry_of(run))
    assert (facts.memory.peak, facts.memory.sampled) == (5 << 30, True)
    assert "5.0 GiB at most, as sampled" in "\n".join(page_lines(facts))


@pytest.mark.parametrize("path", ["/", "../../..", "a/../../b", "x" * 5000])
def test_an_export_names_nothing_outside_its_folder(tmp_path: Path, path: str) -> None:
    run = finished(tmp_path / "run", "one")
    export(run, **{path: PASSED})
    (run.folder.exports / "\N{SUPERSCRIPT TWO}").mkdir()  # a digit, and no number
    facts = read_facts(entry_of(run))
    assert facts.exports == []
    assert any("exports/1/check.json" in words for words in facts.unread)


def test_how_to_go_on_with_one_that_broke_off(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "one")
    assert read_facts(entry_of(run)).way_on == ""
    checkpoint(run.folder, 5)
    run.show("running")  # and nobody holds it
    facts = read_facts(entry_of(run))
    assert facts.state == "died"
    assert facts.way_on == f"Go on from step 5: backprop train --resume {run.folder.path}"
    assert "resume      Go on from step 5:" in "\n".join(page_lines(facts))


def test_control_bytes_of_a_run_reach_no_terminal(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "one")
    run.status.message, run.status.data = "a\x1b[31mb\x07", "\x1b]0;title\x07x"
    run.show("failed")
    assert "\x1b" not in "\n".join(page_lines(read_facts(entry_of(run))))


def test_an_empty_run_has_a_page(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "one")
    status = run.folder.status.read_bytes()
    shutil.rmtree(run.folder.path)
    run.folder.path.mkdir()
    RunFolder(run.folder.path).status.write_bytes(status)
    facts = read_facts(entry_of(run))
    assert not facts.unread
    assert facts.loss is None
    assert page_lines(facts)
