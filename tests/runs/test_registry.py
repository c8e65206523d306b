"""Run folders, the lock that says whether a run lives, and the list that finds runs."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trainer_core.errors import LockedError, UserError
from trainer_core.runs.folder import RunFolder, create_run_folder, run_name
from trainer_core.runs.registry import (
    delete_run,
    find_run,
    list_runs,
    new_run,
    register,
    unfinished_run,
)
from trainer_core.runs.status import (
    is_alive,
    new_status,
    read_status,
    shown_state,
    take_lock,
    write_status,
)

_HOLDER = """
import sys
from pathlib import Path
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import take_lock
lock = take_lock(RunFolder(Path(sys.argv[1])))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(folder: RunFolder) -> Iterator["subprocess.Popen[str]"]:
    """Another process holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def run(path: Path, run_id: str, created: float, state: str = "running") -> RunFolder:
    folder = RunFolder(path / run_id)
    folder.path.mkdir(parents=True)
    status = new_status(run_id, "train")
    status.created, status.state = created, state  # type: ignore[assignment]
    write_status(folder, status)
    register(run_id, folder)
    return folder


def test_one_process_holds_a_run_until_it_dies(tmp_path: Path) -> None:
    folder = run(tmp_path, "a", 1.0)
    status = read_status(folder)
    assert status is not None
    assert shown_state(folder, status) == "died"  # it says running, but nobody holds it
    with held(folder) as holder:
        assert is_alive(folder)
        assert shown_state(folder, status) == "running"
        with pytest.raises(LockedError):
            take_lock(folder, wait=0)
        with pytest.raises(LockedError):
            delete_run(find_run("a"))
        assert folder.status.exists()
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
        assert not is_alive(folder)
        assert shown_state(folder, status) == "died"
        take_lock(folder, wait=0).release()


def test_another_host_is_believed(tmp_path: Path) -> None:
    folder = run(tmp_path, "a", 1.0)
    status = read_status(folder)
    assert status is not None
    assert shown_state(folder, status.model_copy(update={"host": "elsewhere"})) == "running"
    assert shown_state(folder, status.model_copy(update={"state": "finished"})) == "finished"


def test_runs_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no runs yet"):
        find_run("last")
    old = run(tmp_path / "one", "20260101-a", 1.0, "finished")
    new = run(tmp_path / "two", "20260102-b", 2.0, "failed")
    monkeypatch.chdir("/")
    assert [entry.id for entry in list_runs()] == ["20260102-b", "20260101-a"]
    assert find_run("last").folder == new
    assert find_run("20260101").folder == old
    assert find_run("20260101-a").state == "finished"
    assert find_run(str(old.path)).id == "20260101-a"
    with pytest.raises(UserError, match="20260102-b, 20260101-a"):
        find_run("2026")
    with pytest.raises(UserError, match="no run is called"):
        find_run("x\0")
    monkeypatch.chdir(tmp_path / "one")
    assert find_run("20260101-a").folder.path == old.path


def test_an_exact_id_wins_over_a_prefix(tmp_path: Path) -> None:
    run(tmp_path, "a", 1.0)
    run(tmp_path, "a-2", 2.0)
    assert find_run("a").id == "a"


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_a_blank_name_is_not_the_only_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank: str
) -> None:
    folder = run(tmp_path, "a", 1.0)
    monkeypatch.chdir(folder.path)
    with pytest.raises(UserError, match="is blank"):
        find_run(blank)
    assert find_run(".").id == "a"


def test_the_home_of_nobody(tmp_path: Path) -> None:
    for use in (
        lambda: find_run("~nobody-here/a"),
        lambda: new_run("a", Path("~nobody-here/a"), "training: {}\n"),
        lambda: unfinished_run(Path("~nobody-here/a"), "training: {}\n"),
    ):
        with pytest.raises(UserError, match="~nobody-here/a names the home of a user"):
            use()


def test_a_deleted_run_is_gone_and_a_broken_list_is_read(
    tmp_path: Path, own_state_folder: Path
) -> None:
    folder, other = run(tmp_path, "a", 1.0), run(tmp_path, "b", 2.0)
    listing = own_state_folder / "backprop" / "runs.jsonl"
    with listing.open("a") as file:
        file.write('nonsense\n[]\n{"path": 3}\n{"path": "/nowhere"}\n{"path": "/torn')
    assert {entry.id for entry in list_runs()} == {"a", "b"}
    folder.config.touch()
    delete_run(find_run("a"))
    assert not folder.path.exists()
    assert [entry.folder for entry in list_runs()] == [other]


_BEGINNER = """
import sys
from pathlib import Path
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import register
folder, ended = Path(sys.argv[1]), Path(sys.argv[2])
print("begun", flush=True)
count = 0
while count < 2000 and not ended.exists():
    register(f"new-{count}", RunFolder(folder / f"new-{count}"))
    count += 1
print(count)
"""


def test_a_run_that_begins_while_others_are_deleted_is_listed(
    tmp_path: Path, own_state_folder: Path
) -> None:
    old = [run(tmp_path, f"old-{number}", 1.0, "finished") for number in range(10)]
    for folder in old:
        folder.config.touch()
    ended = tmp_path / "ended"
    beginner = subprocess.Popen(
        [sys.executable, "-c", _BEGINNER, str(tmp_path), str(ended)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with beginner:
        assert beginner.stdout is not None
        assert beginner.stdout.readline() == "begun\n"
        for folder in old:
            delete_run(find_run(str(folder.path)))
        ended.touch()
        count = int(beginner.stdout.readline())
    lines = (own_state_folder / "backprop" / "runs.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"new-{n}" for n in range(count)]


def test_two_runs_in_one_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [create_run_folder("id", None).path for _ in range(3)]
    assert paths == [tmp_path / "runs" / name for name in ("id", "id-2", "id-3")]
    run_id, folder = new_run("demo", None, "model: {}\n")
    assert folder.path.name == run_id
    assert folder.config.read_text().endswith("model: {}\n")


def test_an_output_folder_must_be_empty(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert create_run_folder("id", empty).path == empty
    (empty / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        create_run_folder("id", empty)
    assert (empty / "notes.txt").read_text() == "mine"
    with pytest.raises(UserError, match="already holds a run"):
        create_run_folder("id", run(tmp_path, "a", 1.0).path)
    for bad in (empty / "notes.txt", empty / "notes.txt" / "x", Path("a\0b")):
        with pytest.raises(UserError):
            create_run_folder("id", bad)


def test_a_run_s_name_is_safe_in_a_path() -> None:
    names = [run_name(x) for x in ("owner/Model-1.5", "../..", "/a/b c/", "C:\\x\\y", "日本")]
    assert names == ["Model-1.5", "run", "b-c", "y", "run"]


def test_a_reader_never_sees_half_a_status(tmp_path: Path) -> None:
    folder = run(tmp_path, "a", 1.0)
    status, ended, broken = new_status("a", "train"), threading.Event(), []

    def watch() -> None:
        while not ended.is_set():
            if read_status(folder) is None:
                broken.append(folder)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for step in range(300):
        status.step, status.message = step, "x" * 50 * step
        write_status(folder, status)
    ended.set()
    watcher.join()
    assert not broken
    assert [path.name for path in folder.path.iterdir()] == ["status.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"run": 3}'])
def test_a_broken_status_is_no_run(tmp_path: Path, content: bytes) -> None:
    folder = RunFolder(tmp_path)
    folder.status.write_bytes(content)
    assert read_status(folder) is None


def test_a_lock_of_nobody_is_free(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not is_alive(folder)
    folder.lock.write_text(str(os.getpid()))
    assert not is_alive(folder)


def test_a_run_killed_before_it_had_a_status_is_no_obstacle(tmp_path: Path) -> None:
    place = tmp_path / "run"
    _, folder = new_run("one", place, "training: {}\n")
    (place / ".status.json.abc").write_text("{")
    assert new_run("one", place, "training: {}\n")[1].path == folder.path
    folder.config.write_text("training: {}\n")  # a person's own
    with pytest.raises(UserError, match="is not empty"):
        new_run("one", place, "training: {}\n")


def test_the_same_config_finds_its_unfinished_run(tmp_path: Path) -> None:
    place = tmp_path / "run"
    assert unfinished_run(place, "training: {}\n") is None
    run_id, folder = new_run("one", place, "training: {}\n")
    status = new_status(run_id, "train")
    write_status(folder, status)
    found = unfinished_run(place, "training: {}\n")
    assert found is not None
    assert found.path == folder.path
    with pytest.raises(UserError, match="a run of another config"):
        unfinished_run(place, "training: {steps: 1}\n")
    status.state = "finished"
    write_status(folder, status)
    with pytest.raises(UserError, match="has finished"):
        unfinished_run(place, "training: {}\n")
