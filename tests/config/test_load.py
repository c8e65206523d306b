"""A config that is wrong is refused in one sentence with path:line; a right one is read exactly."""

import os
from pathlib import Path

import pytest

from trainer_core.config.load import load_config
from trainer_core.errors import UserError

GOOD = "model:\n  base: base\ndata:\n  train: rows.jsonl\n"


def refused(path: Path, content: str | bytes, *overrides: str) -> UserError:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        load_config(path, overrides)
    return caught.value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.yaml"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD + "training:\n  learning_rat: 1\n", 6, "training.learning_rate?"),
        (GOOD + "trainig: {}\n", 5, "training?"),
        (GOOD + "training:\n  seed: 1\n  seed: 2\n", 7, "twice"),
        (GOOD + "training:\n\tseed: 1\n", 6, "YAML"),
        (GOOD + "training:\n  steps: -1\n", 6, "training.steps"),
        (GOOD + "training:\n  steps: many\n", 6, "many"),
        (GOOD + "training:\n  steps: 1.5\n", 6, "training.steps"),
        (GOOD + "training:\n  learning_rate: .nan\n", 6, "learning_rate"),
        (GOOD + "training:\n  learning_rate: .NaN\n", 6, "learning_rate"),
        (GOOD + "training:\n  learning_rate: .inf\n", 6, "learning_rate"),
        (GOOD + "training:\n  learning_rate: -.Inf\n", 6, "learning_rate"),
        (GOOD + "training:\n  steps: 3\n  epochs: 2\n", 5, "not both"),
        (GOOD + "training: 3\n", 5, "training"),
        (GOOD + "training:\n  steps: 0\n", 6, "training.steps"),
        (GOOD + "training:\n  epochs: 0\n", 6, "training.epochs"),
        (GOOD + "training:\n  learning_rate: -1e-4\n", 6, "training.learning_rate"),
        (GOOD + "training:\n  learning_rate: 0\n", 6, "training.learning_rate"),
        (GOOD + "training:\n  batch_size: -2\n", 6, "or auto (got -2)"),
        (GOOD + f"training:\n  steps: {'9' * 5000}\n", 6, "training.steps"),
        (GOOD + "training:\n  steps: on\n", 6, "got 'on'"),
        (GOOD + "training:\n  steps: 12:30:45\n", 6, "got '12:30:45'"),
        (GOOD + "training:\n  remove_checkpoints: maybe\n", 6, "remove_checkpoints"),
        (GOOD + "training:\n  optimizer: adam\n", 6, "Did you mean adamw?"),
        (GOOD + "training:\n  scheduler: cosin\n", 6, "Did you mean cosine?"),
        (GOOD + "lora:\n  learning_rate: 1e-4\n", 6, "Did you mean training.learning_rate?"),
        (GOOD + "training:\n  effective_batch: 7\n  batch_size: 2\n", 5, "no multiple of 2"),
        (GOOD + "lora:\n  adapter: a\n  init: pissa\n", 5, "init is for a new adapter"),
        (GOOD + "model:\n  trust_remote_code: true\n", 5, "twice"),
        ("preset: qwen2.5-7\n" + GOOD, 1, "Did you mean qwen2.5-7b?"),
        ("preset: [demo, 3]\n" + GOOD, 1, "a name, a path, or a list"),
        ("preset: absent.yaml\n" + GOOD, 1, "does not exist"),
        ("model:\n  base:\ndata:\n  train: x\n", 2, "model.base is missing"),
        (GOOD + "lora:\n  targets: []\n", 6, "targets"),
        (GOOD + "run:\n  name: ../../etc\n", 6, "run.name"),
        (GOOD + "run:\n  name: !!python/object/apply:os.system [ls]\n", 6, "not allowed"),
        (GOOD + "run:\n  name: !!python/name:os.system x\n", 6, "not allowed"),
        (GOOD + "? [a, b]\n: 1\n", 5, "key"),
    ],
)
def test_the_line_at_fault_is_named(file: Path, text: str, line: int, words: str) -> None:
    error = refused(file, text)
    assert error.where == f"{file}:{line}"
    assert words in str(error)


def test_a_missing_field_is_named(file: Path) -> None:
    assert "data.train is missing" in str(refused(file, "model:\n  base: b\ndata: {}\n"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# nothing\n",
        b"[1, 2]\n",
        b"just words\n",
        GOOD.encode() + b"run:\n  name: caf\xe9\n",
        GOOD.encode() + b"run:\n  name: a\0b\n",
        b"a: &a [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(
            b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % (n + 1, n + 1, *[n] * 9)
            for n in range(97, 107)
        ),
        b"model: &m\n  base: *m\n",
        b"a: " + b"[" * 1000 + b"]" * 1000 + b"\n",
        b"a: " + b"{a: " * 1000 + b"}" * 1000 + b"\n",
        b"{" * 100_000,
        b"x" * ((1 << 20) + 1),
        b"a: b: c\n",
        b"---\na: 1\n---\nb: 2\n",
        b"a: *nobody\n",
    ],
    ids=[
        "empty", "comment", "list", "scalar", "latin-1", "nul", "alias bomb", "cycle",
        "nested lists", "nested maps", "braces", "huge", "colons", "two documents", "no anchor",
    ],
)  # fmt: skip
def test_hostile_files_are_a_user_error(file: Path, content: bytes) -> None:
    error = refused(file, content)
    assert str(file) in str(error)
    assert error.exit_status == 2


def test_not_utf8_names_the_line(file: Path) -> None:
    assert refused(file, GOOD.encode() + b"run:\n  name: \xff\n").where == f"{file}:6"
    assert refused(file, GOOD.encode() + b"run:\n  name: a\0b\n").where == f"{file}:6"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    loop, huge = tmp_path / "loop", tmp_path / "huge"
    loop.symlink_to(loop)
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    absent = tmp_path / "absent"
    for path in (tmp_path, fifo, absent, loop, huge, Path("a\0b"), Path("/dev/null")):
        with pytest.raises(UserError):
            load_config(path)


def test_numbers_words_and_a_bom_are_read_as_meant(file: Path) -> None:
    text = (
        GOOD + "run:\n  name: '12'\ntraining:\n  learning_rate: 2e-4\n  sample_prompts: [no, 'é']\n"
    )
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    config = load_config(file).config
    assert config.training.learning_rate == 2e-4
    assert config.training.sample_prompts == ["no", "é"]
    assert config.run.name == "12"


def test_aliases_within_reason_work(file: Path) -> None:
    text = "x: &t rows.jsonl\n"
    file.write_text("model:\n  base: &b base\ndata:\n  train: *b\n")
    assert load_config(file).config.data.train[0].path == str(file.parent / "base")
    assert refused(file, text + GOOD).where == f"{file}:1"


def test_overrides_win_and_are_blamed(file: Path) -> None:
    file.write_text(GOOD + "training:\n  learning_rate: 1e-3\n")
    overrides = ["training.learning_rate=5e-5", "training.steps=7", "lora.targets=[q_proj, v_proj]"]
    loaded = load_config(file, overrides)
    assert loaded.config.training.learning_rate == 5e-5
    assert loaded.config.training.steps == 7
    assert loaded.config.lora.targets == ["q_proj", "v_proj"]
    assert {"training.learning_rate", "training.steps", "model.base"} <= loaded.given
    assert "training.seed" not in loaded.given
    text = file.read_text()
    assert refused(file, text, "training.steps=none").where == "--set"
    assert "training.steps?" in str(refused(file, text, "training.stepz=1"))
    for override in ("training.steps", "=1", "training.=1", "data.train.x=1"):
        assert override.split("=")[0] in str(refused(file, text, override))


def test_an_override_of_the_length_replaces_the_other_one(file: Path) -> None:
    file.write_text(GOOD + "training:\n  epochs: 3\n")
    assert load_config(file, ["training.steps=7"]).config.training.epochs == "auto"
    assert load_config(None, ["preset=demo", "training.epochs=2"]).config.training.steps == "auto"
    assert "not both" in str(
        refused(file, file.read_text(), "training.steps=7", "training.epochs=1")
    )


def test_presets_are_layers_in_order_below_the_file(file: Path) -> None:
    for name, seed, rank in (("first", 1, 4), ("second", 2, 4)):
        text = f"training: {{seed: {seed}}}\nlora: {{rank: {rank}}}\nabout: {{title: x}}\n"
        (file.parent / f"{name}.yaml").write_text(text)
    file.write_text("preset: [./first.yaml, ./second.yaml]\n" + GOOD + "lora:\n  rank: 8\n")
    loaded = load_config(file)
    assert (loaded.config.training.seed, loaded.config.lora.rank) == (2, 8)
    assert loaded.from_presets["training.seed"] == "second"
    (file.parent / "second.yaml").write_text("training: {sed: 1}\n")
    error = refused(file, file.read_text())
    assert error.where == f"{file.parent / 'second.yaml'}:1"
    (file.parent / "second.yaml").write_text("preset: demo\n")
    assert "cannot start from another" in str(refused(file, file.read_text()))


def test_a_section_with_nothing_below_it_is_empty(file: Path) -> None:
    file.write_text(GOOD + "lora:\ntraining:\n")
    assert load_config(file).config.lora.rank == "auto"
    assert "model.base is missing" in str(refused(file, "model:\ndata:\n  train: x\n"))


def test_the_same_override_without_a_file() -> None:
    config = load_config(None, ["model.base=owner/name", "data.train=d.jsonl"]).config
    assert config.model.base == "owner/name"
    assert config.data.train[0].path == str(Path("d.jsonl").absolute())


def test_paths_are_relative_to_whoever_named_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, here = tmp_path / "configs", tmp_path / "here"
    (folder / "base").mkdir(parents=True)
    here.mkdir()
    monkeypatch.chdir(here)
    (folder / "run.yaml").write_text(GOOD)
    config = load_config(folder / "run.yaml", ["data.validation=v.jsonl"]).config
    assert config.data.train[0].path == str(folder / "rows.jsonl")
    assert config.model.base == str(folder / "base")
    assert config.data.validation[0].path == str(here / "v.jsonl")
    relative = load_config(Path("../configs/run.yaml")).config
    assert Path(relative.data.train[0].path).resolve() == folder / "rows.jsonl"


def test_the_shipped_demo_is_valid(demo: Path) -> None:
    config = load_config(demo / "demo.yaml").config
    assert Path(config.model.base).is_dir()
    assert Path(config.data.train[0].path).is_file()
