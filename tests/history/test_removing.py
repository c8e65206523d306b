"""What goes with a run, and what never does."""

import json
import shutil
from pathlib import Path
from typing import get_args

import pytest

from tests.history.written import checkpoint, entry_of, finished
from trainer_core.errors import LockedError, UserError
from trainer_core.history.reading import read_facts
from trainer_core.history.removing import Removal, What, removable, removal_of, remove
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import delete_run, find_run, list_runs, new_run, state_folder
from trainer_core.runs.status import new_status, take_lock, write_status
from trainer_core.runs.trained import trained_places


def test_a_run_goes_and_what_its_links_lead_to_stays(tmp_path: Path) -> None:
    run, other = finished(tmp_path / "a", "a"), finished(tmp_path / "b", "b")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    (run.folder.path / "exports").symlink_to(outside)
    (run.folder.path / "notes").symlink_to(outside / "precious")
    removal = removal_of(entry_of(run))
    assert removal.size > 1000
    remove(removal)
    assert not run.folder.path.exists()
    assert (outside / "precious").read_text() == "mine"
    assert [entry.id for entry in list_runs()] == ["b"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "outside"]
    assert other.folder.status.exists()


def test_a_run_behind_a_link_goes_with_the_link(tmp_path: Path) -> None:
    run = finished(tmp_path / "disk" / "a", "a")
    link = tmp_path / "link"
    link.symlink_to(run.folder.path)
    delete_run(find_run(str(link)))
    assert not link.is_symlink()
    assert [*(tmp_path / "disk").iterdir()] == []


def test_a_run_that_lives_stays(tmp_path: Path) -> None:
    run = finished(tmp_path / "a", "a")
    entry = entry_of(run)
    removal = removal_of(entry)
    lock = take_lock(run.folder)
    assert not removable(entry)
    kinds: tuple[What, ...] = get_args(What)
    for what in kinds:
        with pytest.raises(LockedError, match="still running"):
            removal_of(entry, what=what)
    with pytest.raises(LockedError):  # it went on while the person was asked
        remove(removal)
    assert run.folder.status.exists()
    lock.release()
    remove(removal)
    assert not run.folder.path.exists()


def test_of_several_the_ones_before_a_refusal_are_gone_from_the_list(tmp_path: Path) -> None:
    runs = [finished(tmp_path / name, name) for name in "abc"]
    removals = [removal_of(entry_of(run)) for run in runs]
    told: list[str] = []
    lock = take_lock(runs[1].folder)
    with pytest.raises(LockedError):
        remove(*removals, told=lambda removal: told.append(removal.entry.id))
    lock.release()
    assert told == ["a"]
    assert [Path(json.loads(line)["path"]).name for line in _listed()] == ["b", "c"]


def test_a_run_that_begins_where_one_was_deleted_stays_in_the_list(tmp_path: Path) -> None:
    runs = [finished(tmp_path / name, name) for name in "ab"]

    def begin_again(removal: Removal) -> None:
        if removal.entry.id == "a":
            new_run("a", tmp_path / "a", "model: {}\n")

    remove(*(removal_of(entry_of(run)) for run in runs), told=begin_again)
    assert {Path(json.loads(line)["path"]).name for line in _listed()} == {"a"}


def test_a_run_of_another_machine_stays_while_it_goes_on(tmp_path: Path) -> None:
    run = finished(tmp_path / "a", "a")
    run.status.host = "elsewhere"
    run.show("running")
    with pytest.raises(LockedError, match="a run of elsewhere"):
        removal_of(entry_of(run))
    run.show("finished")
    remove(removal_of(entry_of(run)))
    assert not run.folder.path.exists()


def test_what_is_no_run_stays(tmp_path: Path) -> None:
    foreign = RunFolder(tmp_path / "foreign")
    foreign.path.mkdir()
    foreign.status.write_text('{"run": "x", "format": 1}')  # somebody else's
    job = RunFolder(tmp_path / "job")
    job.path.mkdir()
    write_status(job, new_status("1", "export"))
    job.events.touch()
    for folder in (foreign, job):
        with pytest.raises(UserError, match="is no run's folder"):
            removal_of(find_run(str(folder.path)))
        assert folder.status.exists()


def test_a_folder_that_other_runs_lie_in_stays(tmp_path: Path) -> None:
    outer = finished(tmp_path / "runs", "outer")
    inner = finished(tmp_path / "runs" / "inner", "inner")
    with pytest.raises(UserError, match="lies in"):
        removal_of(entry_of(outer))
    remove(removal_of(entry_of(inner)))
    remove(removal_of(entry_of(outer)))
    assert list_runs() == []


@pytest.mark.parametrize("spelling", ["link/runs", "disk/other/../runs"])
def test_also_where_the_folder_is_spelled_in_another_way(tmp_path: Path, spelling: str) -> None:
    outer = finished(tmp_path / "disk" / "runs", "outer")
    inner = finished(tmp_path / "disk" / "runs" / "inner", "inner")
    (tmp_path / "disk" / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    with pytest.raises(UserError, match="lies in"):
        delete_run(find_run(str(tmp_path / spelling)))
    assert inner.folder.status.exists()
    delete_run(entry_of(inner))
    delete_run(find_run(str(tmp_path / spelling)))
    assert not outer.folder.path.exists()
    assert _listed() == []


def test_also_where_the_run_in_it_is_listed_in_another_way(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    outer = finished(tmp_path / "disk" / "runs", "outer")
    inner = finished(tmp_path / "link" / "runs" / "inner", "inner")
    with pytest.raises(UserError, match="lies in"):
        delete_run(entry_of(outer))
    assert inner.folder.status.exists()


def _listed() -> list[str]:
    return (state_folder() / "runs.jsonl").read_text().splitlines()


def test_cut_off_between_the_renaming_and_the_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(tmp_path / "a", "a")

    def cut_off(path: Path, **_: object) -> None:
        if path.exists():
            raise KeyboardInterrupt

    entry = entry_of(run)
    with monkeypatch.context() as patch:
        patch.setattr("trainer_core.runs.registry.shutil.rmtree", cut_off)
        with pytest.raises(KeyboardInterrupt):
            delete_run(entry)
    assert list_runs() == []
    assert not run.folder.path.exists()
    again = finished(tmp_path / "a", "a")  # the name is free, and its run can go too
    delete_run(entry_of(again))
    assert [*tmp_path.iterdir()] == []


def test_only_the_checkpoints(tmp_path: Path) -> None:
    run = finished(tmp_path / "a", "a")
    place = [checkpoint(run.folder, step) for step in (5, 10)]
    place += [checkpoint(run.folder.part(1), 3), checkpoint(run.folder.arm("joint").part(1), 3)]
    run.folder.adapter.mkdir()
    (run.folder.adapter / "kept").touch()
    removal = removal_of(entry_of(run), what="checkpoints")
    assert set(removal.parts or ()) == set(place)
    assert removal.size == 4 * 1004
    remove(removal)
    assert not [path for path in place if path.exists()]
    assert (run.folder.adapter / "kept").exists()
    assert find_run("a").state == "finished"
    assert removal_of(entry_of(run), what="checkpoints").parts == ()


def test_of_a_run_that_can_go_on_the_newest_whole_checkpoint_stays(tmp_path: Path) -> None:
    run = finished(tmp_path / "a", "a")
    run.show("stopped")
    old, newest = checkpoint(run.folder, 5), checkpoint(run.folder, 10)
    half = checkpoint(run.folder, 12, whole=False)
    remove(removal_of(entry_of(run), what="checkpoints"))
    assert [path.exists() for path in (old, newest, half)] == [False, True, False]


def test_checkpoints_behind_a_link_stay(tmp_path: Path) -> None:
    run = finished(tmp_path / "a", "a")
    elsewhere = checkpoint(RunFolder(tmp_path / "disk"), 5)
    run.folder.checkpoints.symlink_to(elsewhere.parent)
    assert removal_of(entry_of(run), what="checkpoints").parts == ()
    assert elsewhere.exists()


@pytest.mark.parametrize("link", ["run-01", "compare", "compare/joint", "compare/joint/run-01"])
def test_checkpoints_in_a_folder_behind_a_link_stay(tmp_path: Path, link: str) -> None:
    run, other = finished(tmp_path / "a", "a"), finished(tmp_path / "b", "b")
    theirs = [checkpoint(other.folder.part(1), 3), checkpoint(other.folder.arm("joint").part(1), 3)]
    (run.folder.path / link).parent.mkdir(parents=True, exist_ok=True)
    (run.folder.path / link).symlink_to(other.folder.path / link)
    own = checkpoint(run.folder, 5)
    removal = removal_of(entry_of(run), what="checkpoints")
    assert removal.parts == (own,)
    remove(removal)
    assert all(path.exists() for path in theirs)


def test_a_run_behind_a_link_has_checkpoints_of_its_own(tmp_path: Path) -> None:
    run = finished(tmp_path / "disk" / "a", "a")
    own = checkpoint(run.folder, 5)
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    remove(removal_of(find_run(str(tmp_path / "link" / "a")), what="checkpoints"))
    assert not own.exists()


def test_a_run_that_went_on_and_stopped_again_keeps_its_newest_checkpoint(tmp_path: Path) -> None:
    run = finished(tmp_path / "a", "a")
    old, newest = checkpoint(run.folder, 5), checkpoint(run.folder, 10)
    removal = removal_of(entry_of(run), what="checkpoints")
    assert set(removal.parts or ()) == {old, newest}
    run.show("stopped")  # while the person was asked
    remove(removal)
    assert [path.exists() for path in (old, newest)] == [False, True]


def test_nobody_goes_on_while_checkpoints_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(tmp_path / "a", "a")
    checkpoint(run.folder, 5)
    removal = removal_of(entry_of(run), what="checkpoints")
    refused, real = [], shutil.rmtree

    def removing(path: Path) -> None:
        with pytest.raises(LockedError):
            take_lock(run.folder, wait=0)
        refused.append(path.name)
        real(path)

    monkeypatch.setattr("trainer_core.history.removing.shutil.rmtree", removing)
    remove(removal)
    assert refused == [".step-5.gone"]
    take_lock(run.folder, wait=0).release()


def test_all_but_what_was_trained_and_what_is_known_of_it(tmp_path: Path) -> None:
    run = finished(tmp_path / "a", "a")
    folder, outside = run.folder, tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    (folder.path / "exports").symlink_to(outside)
    (folder.path / "notes").write_text("of somebody")
    (folder.adapter / "last").mkdir(parents=True)
    (folder.adapter / "last" / "adapter_config.json").write_text("{}")
    checkpoint(folder, 5), checkpoint(folder.part(1), 3)
    gone = {"size", "trained", "runs"}
    before = read_facts(entry_of(run)).model_dump(exclude=gone)
    kept = {"adapter", "config.yaml", "resolved.yaml", "identity.json", "status.json", "curves"}
    kept |= {"events.jsonl", "training", "lock"}
    removal = removal_of(entry_of(run), what="rest")
    assert {path.name for path in removal.parts or ()} >= {"checkpoints", "run-01", "notes"}
    assert removal.size >= 2 * 1004
    remove(removal)
    assert {path.name for path in folder.path.iterdir()} == kept
    assert (outside / "precious").read_text() == "mine"
    assert [place.name for place in trained_places(folder)] == ["last"]
    assert read_facts(find_run("a")).model_dump(exclude=gone) == before
    assert removal_of(entry_of(run), what="rest").parts == ()


def test_of_a_run_that_can_go_on_no_rest_goes(tmp_path: Path) -> None:
    run = finished(tmp_path / "a", "a")
    removal = removal_of(entry_of(run), what="rest")
    before = {path.name for path in run.folder.path.iterdir()}
    run.show("stopped")
    assert not removable(entry_of(run), what="rest")
    for attempt in (lambda: removal_of(entry_of(run), what="rest"), lambda: remove(removal)):
        with pytest.raises(UserError, match="has not finished"):
            attempt()
    assert {path.name for path in run.folder.path.iterdir()} - {"lock"} == before
