"""The preview job over a real wire: it answers, is quiet on disk, and goes when its clients go."""

import json
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from cryptography.fernet import Fernet

from trainer_core.data.sources.jsonl import LineRange
from trainer_core.errors import BackpropError
from trainer_core.runs.control import MAX_QUESTIONS, Control, Question
from trainer_core.runs.events import Failed, Reply
from trainer_core.runs.status import is_alive, read_status
from trainer_core.worker import client as client_module
from trainer_core.worker.client import RunClient
from trainer_core.worker.previews import Preview

WORKER = Path(__file__).with_name("quick_worker.py")
WAITING_WORKER = Path(__file__).with_name("waiting_worker.py")
SECRET = "the sphinx is in the cellar"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Path) -> str:
    """36 rows to train on, one of them with a lone surrogate and one broken, and four others."""
    return written(tmp_path, monkeypatch, demo)


@pytest.fixture(scope="module")
def open_preview(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Iterator[Preview]:
    """One for all tests that only ask."""
    with pytest.MonkeyPatch.context() as patch:
        preview = Preview(written(tmp_path_factory.mktemp("open"), patch, demo))
        yield preview
        preview.close()


def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Path) -> str:
    """The rows on disk, and a config that names them."""
    monkeypatch.setattr(client_module, "WORKER", (sys.executable, str(WORKER)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = [{"question": f"What is {n}? {SECRET}", "answer": f"number {n}"} for n in range(40)]
    rows[7]["answer"] = "\ud800 alone"
    lines = [json.dumps(row) for row in rows]
    lines[12] = "{nope"
    data, held_out = tmp_path / "rows.jsonl", tmp_path / "held_out.jsonl"
    data.write_text("\n".join(lines[:36]))
    held_out.write_text("\n".join(lines[36:]))
    return (
        f"model:\n  base: {demo / 'base'}\n  max_length: 512\n"
        f"data:\n  train: [{data}]\n  validation: [{held_out}]\n"
    )


@pytest.fixture
def preview(config: str) -> Iterator[Preview]:
    preview = Preview(config)
    yield preview
    preview.close()


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def test_report_rows_and_search(open_preview: Preview) -> None:
    overview = open_preview.report().result(60)
    assert overview.rows == {"train": 36, "validation": 4}
    assert overview.report.counts["unreadable"] == 1
    row = open_preview.row("validation", 1).result(60)
    assert row.row == 37
    assert [turn.role for turn in row.turns] == ["user", "assistant"]
    shown = "".join(token.text for token in row.tokens if token.trained)
    assert "number 37" in shown
    assert SECRET not in shown
    assert open_preview.search("train", "NUMBER 30", 3).result(60) == 30
    assert open_preview.search("train", "nowhere", 0).result(60) is None
    assert open_preview.place(37).result(60) == row


def test_rows_come_before_all_are_prepared_and_are_the_same_afterwards(
    config: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client_module, "WORKER", (sys.executable, str(WAITING_WORKER)))
    monkeypatch.setenv("WAIT_FOR", str(tmp_path / "go"))
    preview = Preview(config)
    report = preview.report()
    early = [preview.place(row).result(60) for row in (0, 7, 12, 35)]
    chunk = LineRange(str(tmp_path / "rows.jsonl"), 0, 1 << 20, 1)
    assert preview.place(35, chunk, 35).result(60) == early[-1]
    with pytest.raises(BackpropError, match="no such row"):
        preview.place(36).result(60)
    assert not report.done()
    assert [view.split for view in early] == [None] * 4
    assert [bool(view.problems) for view in early] == [False, True, True, False]
    (tmp_path / "go").touch()
    report.result(60)
    for view in early:
        later = preview.place(view.row).result(60)
        assert later.split == "train"
        assert later.model_copy(update={"split": None, "index": view.index}) == view
    preview.close()


def test_leaving_in_the_middle_leaves_nothing_half_made(
    config: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "How many?", "answer": "Many of them."}\n' * 100_000)
    preview = Preview(config)
    until(lambda: list((tmp_path / "cache").rglob("*.part")), "the pass")
    preview.close()
    until(lambda: not preview.folder.path.exists(), "the end of its folder")
    assert not list((tmp_path / "cache" / "backprop" / "tokens").iterdir())


def test_hostile_rows_and_questions_do_not_end_it(open_preview: Preview) -> None:
    assert "alone" in open_preview.row("train", 7).result(60).turns[1].content
    assert open_preview.place(12).result(60).problems
    with pytest.raises(BackpropError, match="no such row"):
        open_preview.row("train", 10_000).result(60)
    with pytest.raises(BackpropError, match="does not know"):
        open_preview.client.ask({"about": "the weather"}).result(60)
    with pytest.raises(BackpropError, match="too long"):
        open_preview.search("train", "x" * (1 << 20), 0).result(60)
    with pytest.raises(BackpropError, match="no text"):
        open_preview.search("train", "\ud800", 0).result(60)
    assert open_preview.row("train", 0).result(60).index == 0


def test_a_row_is_told_as_a_prompt_with_the_answer_that_is_expected(open_preview: Preview) -> None:
    first = open_preview.prompt(0).result(60)
    assert (first.split, first.index, first.rows) == ("validation", 0, 4)
    assert [turn.content for turn in first.turns] == [f"What is 36? {SECRET}"]
    assert first.expected == "number 36"
    assert first.where.endswith("held_out.jsonl:1")
    assert open_preview.prompt(-1).result(60).index == 3
    assert open_preview.prompt(6).result(60).index == 2
    assert open_preview.prompt(0, "train").result(60).expected == "number 0"
    with pytest.raises(BackpropError, match="no rows for test"):
        open_preview.prompt(0, "test").result(60)


def test_rows_of_encrypted_data_are_no_prompts(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Fernet.generate_key()
    monkeypatch.setenv("PREVIEW_KEY", key.decode())
    secret = Fernet(key).encrypt(b'{"question": "q", "answer": "a"}').decode()
    (tmp_path / "secret.jsonl").write_text(f"{secret}\n")
    source = f"{{path: {tmp_path / 'secret.jsonl'}, encryption: {{key_env: PREVIEW_KEY}}}}"
    preview = Preview(config.replace(f"[{tmp_path / 'rows.jsonl'}]", f"[{source}]"))
    assert preview.row("train", 0).result(60).turns[1].content == "a"
    with pytest.raises(BackpropError, match="the transcript would hold it in clear"):
        preview.prompt(0).result(60)
    preview.close()


def test_each_of_two_clients_gets_its_own_answers(open_preview: Preview) -> None:
    other = RunClient(open_preview.folder)
    assert other.wait_connected(60)
    questions = [{"about": "row", "split": "train", "index": n} for n in range(30)]
    ours = [open_preview.client.ask(question) for question in questions]
    theirs = [other.ask(question) for question in reversed(questions)]
    assert [reply.result(60)["index"] for reply in ours] == list(range(30))
    assert [reply.result(60)["index"] for reply in theirs] == list(reversed(range(30)))
    assert not other._asked
    other.close()


def test_nothing_of_a_row_is_written_and_only_the_user_may_look(open_preview: Preview) -> None:
    open_preview.report().result(60)
    open_preview.row("train", 3).result(60)
    assert open_preview.search("train", "sphinx", 0).result(60) == 0
    folder = open_preview.folder.path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert open_preview.folder.events in files
    for path in files:
        assert b"sphinx" not in path.read_bytes()
        assert b'"reply"' not in path.read_bytes()


def test_it_stays_for_the_last_client_and_then_ends_with_its_folder(preview: Preview) -> None:
    other = RunClient(preview.folder)
    assert other.wait_connected(60)
    preview.close()
    for n in range(10):  # for longer than it stays alone
        time.sleep(0.05)
        assert other.ask({"about": "row", "split": "train", "index": n}).result(60)["index"] == n
    assert is_alive(preview.folder)
    other.close()
    until(lambda: not preview.folder.path.exists(), "the end of its folder")
    with pytest.raises(BackpropError, match="cannot be reached"):
        preview.row("train", 0).result(60)


def test_who_asks_is_told_when_the_worker_dies(preview: Preview) -> None:
    preview.report().result(60)
    status = read_status(preview.folder)
    assert status is not None
    supervisor = psutil.Process(status.pid)
    jobs = supervisor.children(recursive=True)
    supervisor.kill()
    until(lambda: preview.row("train", 0).exception(60), "the news of its death")
    psutil.wait_procs(jobs, timeout=60)
    assert not any(job.is_running() for job in jobs)
    until(lambda: not preview.folder.path.exists(), "the end of its folder")


def test_data_that_cannot_be_read_is_told_to_who_asks(config: str) -> None:
    preview = Preview(config.replace("rows.jsonl", "gone.jsonl"))
    with pytest.raises(BackpropError, match=r"gone\.jsonl does not exist"):
        preview.report().result(60)
    preview.close()
    until(lambda: not preview.folder.path.exists(), "the end of its folder")


def test_a_job_that_dies_leaves_its_log(preview: Preview) -> None:
    preview.report().result(60)
    status = read_status(preview.folder)
    assert status is not None
    for child in psutil.Process(status.pid).children():
        child.kill()
    *_, last = preview.client.events(timeout=60)
    assert isinstance(last, Failed)
    assert "killed" in last.message
    assert str(preview.folder.worker_log) in last.hint
    assert "train" not in last.hint
    until(lambda: not is_alive(preview.folder), "its end")
    assert preview.folder.worker_log.exists()


def test_questions_wait_in_order_and_a_stop_comes_first() -> None:
    control = Control()
    for n in range(MAX_QUESTIONS + 5):
        control.put_question(Question(str(n), {}))
    first = control.next_question()
    assert first is not None
    assert first.id == "5"
    control.ask("stop")
    assert control.next_question() is None


def test_a_long_row_is_sent_in_part() -> None:
    from trainer_core.data.row_view import MAX_CHARACTERS, RowView, ShownTurn, shortened
    from trainer_core.tokens.preview import sendable

    view = RowView(where="x:1")
    view.turns = [ShownTurn(role="user", content="x" * 10**6, trained=False)] * 1
    short = shortened(view)
    assert len(short.turns[0].content) < MAX_CHARACTERS + 100
    assert "more characters" in short.turns[0].content
    assert Reply(id="x", answer=sendable({"text": ["\ud800é"]})).model_dump_json()
