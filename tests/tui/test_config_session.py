"""The config that is open, without a screen: files, changes, undo, presets, and what is started."""

import os
from pathlib import Path

import pytest

from tests.tui.conftest import WriteRun
from trainer_core.config.form import FormField, form_fields
from trainer_core.config.load import load_config
from trainer_core.errors import UserError
from tui.config_rows import FormRow, form_rows
from tui.config_session import NEW, ConfigSession, with_absolute_paths
from tui.text_history import TextHistory

CONFIG = """\
# about it
model:
  base: {base} # the model
data:
  train: rows.jsonl

training:
  steps: 5 # few
"""


def field(name: str) -> FormField:
    return next(field for field in form_fields() if field.name == name)


def row(session: ConfigSession, name: str) -> FormRow:
    return next(row for row in form_rows(session, set()) if row.key == name)


@pytest.fixture
def file(tmp_path: Path, demo: Path) -> Path:
    """A valid config beside its data."""
    (tmp_path / "rows.jsonl").write_text('{"question": "q", "answer": "a"}\n' * 40)
    path = tmp_path / "run.yaml"
    path.write_text(CONFIG.format(base=demo / "base"))
    return path


@pytest.fixture
def session(file: Path) -> ConfigSession:
    """With that config open, and the machine known."""
    session = ConfigSession()
    session.planner.prepare()
    session.open(file)
    return session


def test_a_new_config_lacks_two_fields() -> None:
    session = ConfigSession()
    assert session.text == NEW
    assert not session.is_changed
    assert [wrong.keys for wrong in session.checked.mistakes] == [
        ("model", "base"),
        ("data", "train"),
    ]
    session.enter(field("model.base"), "x/y")
    session.enter(field("data.train"), "rows.jsonl")
    assert session.loaded is not None
    assert session.text == NEW.replace("base: #", "base: x/y #").replace(
        "train: #", "train: rows.jsonl #"
    )


def test_an_entry_changes_its_field_and_leaves_the_rest(session: ConfigSession) -> None:
    before = session.text
    session.enter(field("training.steps"), "7")
    assert session.text == before.replace("steps: 5 #", "steps: 7 #")
    session.enter(field("training.steps"), "")
    assert "steps" not in session.text
    assert "training" not in session.text
    session.enter(field("training.steps"), "many")
    assert row(session, "training.steps").mistakes
    assert session.loaded is None
    assert session.undo()
    assert session.undo()
    assert session.undo()
    assert session.text == before
    assert not session.undo()
    assert not session.is_changed
    assert session.redo()
    assert "steps: 7" in session.text


def test_what_is_no_yaml_is_said_and_the_form_stays(session: ConfigSession) -> None:
    session.type(session.text + "oops: [")
    assert session.broken is not None
    assert session.loaded is None
    assert session.draft is None
    assert row(session, "training.steps").value == "5"
    with pytest.raises(UserError, match="the YAML is broken"):
        session.enter(field("training.steps"), "7")
    session.type(session.text.removesuffix("oops: ["))
    assert session.broken is None
    assert session.loaded is not None


def test_the_plan_follows_every_change(session: ConfigSession) -> None:
    loaded = session.loaded
    assert loaded is not None
    assert session.planner.wants_look(loaded)
    session.planner.look(loaded)
    session.learned()
    assert not session.planner.wants_look(loaded)
    assert session.draft is not None
    assert session.draft.memory is not None
    little = session.draft.memory.total
    assert row(session, "training.epochs").planned
    assert row(session, "training.epochs").origin == "auto"
    session.enter(field("lora.rank"), "512")
    assert session.draft is not None
    assert session.draft.memory is not None
    assert session.draft.memory.total > little


def test_data_that_is_not_there_is_noted_at_its_field(session: ConfigSession) -> None:
    session.enter(field("data.train"), "gone.jsonl")
    loaded = session.loaded
    assert loaded is not None
    session.planner.look(loaded)
    session.learned()
    assert session.draft is not None
    assert "gone.jsonl" in row(session, "data.train").note


def test_presets_are_chosen_and_left_out(session: ConfigSession) -> None:
    session.open_new()
    session.toggle_preset("qwen3-8b")
    assert session.presets == ["qwen3-8b"]
    assert row(session, "model.base").origin == "preset"
    assert "Qwen" in row(session, "model.base").value
    session.toggle_preset("8gb-card")
    assert session.presets == ["qwen3-8b", "8gb-card"]
    assert row(session, "lora.rank").origin == "preset"
    session.toggle_preset("qwen3-4b")
    assert session.presets == ["qwen3-4b", "8gb-card"], "one model at a time"
    session.toggle_preset("8gb-card")
    session.toggle_preset("qwen3-4b")
    assert session.presets == []
    assert "preset" not in session.text
    session.toggle_preset("demo")
    assert session.loaded is not None
    assert row(session, "data.train").origin == "preset", "what was empty gives way"


def test_the_file_of_somebody_else_is_not_lost(session: ConfigSession, file: Path) -> None:
    session.enter(field("training.steps"), "7")
    assert not session.changed_on_disk()
    file.write_text("model: {}\n")
    assert session.changed_on_disk()
    session.save(file)
    assert not session.changed_on_disk()
    assert "steps: 7" in file.read_text()


def test_saving_keeps_the_bytes_that_nobody_changed(session: ConfigSession, file: Path) -> None:
    content = b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n")
    file.write_bytes(content)
    file.chmod(0o600)
    session.open(file)
    session.enter(field("training.steps"), "7")
    session.save(file)
    assert file.read_bytes() == content.replace(b"steps: 5", b"steps: 7")
    assert file.stat().st_mode & 0o777 == 0o600
    assert not session.is_changed
    session.undo()
    assert session.is_changed


def test_saved_in_another_folder_it_means_the_same_files(
    session: ConfigSession, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    session.save(tmp_path / "other" / "copy.yaml")
    assert session.path == tmp_path / "other" / "copy.yaml"
    saved = load_config(tmp_path / "other" / "copy.yaml")
    assert saved.config == load_config(file).config
    assert "# few" in session.text


@pytest.mark.parametrize("name", ["", "gone/config.yaml", "a\0b"])
def test_what_cannot_be_written_is_one_sentence(session: ConfigSession, file: Path, name: str):
    session.enter(field("training.steps"), "7")
    with pytest.raises(UserError):
        session.save(file.parent / name)
    assert session.is_changed
    assert session.path == file


def test_a_runs_record_is_only_copied(
    session: ConfigSession, file: Path, write_run: WriteRun
) -> None:
    run = write_run()
    run.folder.config.write_bytes(file.read_bytes())
    session.open(run.folder.config)
    assert session.path is None
    assert session.file is not None
    assert session.file.is_copy
    with pytest.raises(UserError, match="record"):
        session.save(run.folder.config)


def test_a_broken_file_can_be_opened_and_mended(session: ConfigSession, file: Path) -> None:
    file.write_text("model: [\n")
    session.open(file)
    assert session.broken is not None
    assert session.broken.where.startswith(f"{file}:")
    assert session.text == "model: [\n"
    session.type("model: {base: x}\ndata: {train: x.jsonl}\n")
    assert session.loaded is not None


def test_the_config_of_another_tool_becomes_ours(session: ConfigSession, file: Path) -> None:
    file.write_text("base_model: x/y\ndatasets:\n  - path: rows.jsonl\n    type: alpaca\n")
    session.open(file)
    assert "Axolotl" in session.text
    assert session.path is None
    assert session.checked.file.data["model"]["base"] == "x/y"


@pytest.mark.skipif(os.name != "posix", reason="a file that is no regular one")
@pytest.mark.parametrize("kind", ["fifo", "folder", "nothing", "binary", "huge"])
def test_what_is_no_config_leaves_the_open_one(
    session: ConfigSession, tmp_path: Path, kind: str
) -> None:
    path, before = tmp_path / kind, session.text
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    elif kind == "huge":
        path.write_text("a" * (1 << 21))
    with pytest.raises(UserError):
        session.open(path)
    assert session.text == before


def test_a_record_keeps_comments_and_names_files_wherever_it_is_read(
    session: ConfigSession, file: Path
) -> None:
    loaded = session.loaded
    assert loaded is not None
    text = with_absolute_paths(session.text, loaded)
    assert text == session.text.replace("rows.jsonl", str(file.parent / "rows.jsonl"))


# --- undo ----------------------------------------------------------------------------------------


def test_what_is_typed_on_a_line_is_undone_at_once() -> None:
    history = TextHistory("a\nb\n")
    for text in ("a\nb1\n", "a\nb12\n", "a\nb123\n"):
        history.change(text, typed=True)
    history.change("a4\nb123\n", typed=True)
    history.change("changed\n")
    history.change("changed5\n", typed=True)
    seen = []
    while history.undo():
        seen.append(history.text)
    assert seen == ["changed\n", "a4\nb123\n", "a\nb123\n", "a\nb\n"]
    assert history.redo()
    history.change("another\n")
    assert not history.redo()
    assert history.undo()
    assert history.text == "a\nb123\n"


def test_the_history_ends_somewhere() -> None:
    history = TextHistory("0")
    for number in range(1, 3000):
        history.change(str(number))
    count = 0
    while history.undo():
        count += 1
    assert count == 1000
