"""What tests of other tools' configs share."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainer_core.config.imports import Converted, convert
from trainer_core.config.load import LoadedConfig, load_config
from trainer_core.config.yaml_file import Keys, parse_yaml
from trainer_core.errors import UserError

Bring = Callable[[str], tuple[LoadedConfig, Converted]]
Refuse = Callable[[str], UserError]
AllSaid = Callable[[str, Converted], list[str]]


@pytest.fixture
def folder(tmp_path: Path, demo: Path) -> Path:
    """A folder with a base model, rows, and pairs of files."""
    (tmp_path / "base").symlink_to(demo / "base")
    (tmp_path / "rows.jsonl").write_bytes((demo / "train.jsonl").read_bytes())
    (tmp_path / "held_out.jsonl").write_bytes((demo / "held_out.jsonl").read_bytes())
    for name in ("entrada", "saida"):
        (tmp_path / name).mkdir()
        for number in range(1, 21):
            (tmp_path / name / f"{number:03}.txt").write_text(f"{name} {number}")
    (tmp_path / "prompt.txt").write_text("Resuma: <<TEXTO>>")
    return tmp_path


@pytest.fixture
def bring(folder: Path) -> Bring:
    """Load a config of another tool as a user does, and convert it; both must agree."""

    def load(text: str) -> tuple[LoadedConfig, Converted]:
        path = folder / "theirs.yaml"
        path.write_text(text, encoding="utf-8")
        loaded = load_config(path)
        converted = convert(parse_yaml(text, str(path)))
        assert loaded.notes == converted.notes
        return loaded, converted

    return load


@pytest.fixture
def refuse(folder: Path) -> Refuse:
    """The error that a config of another tool ends in."""

    def load(text: str) -> UserError:
        path = folder / "theirs.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError) as caught:
            load_config(path)
        return caught.value

    return load


@pytest.fixture
def all_said() -> AllSaid:
    """The keys of a file that were neither taken over nor named in a note: there are none. A key
    counts as either where what it stands in does."""

    def missing(text: str, converted: Converted) -> list[str]:
        source = parse_yaml(text, "theirs.yaml")
        mapped = set(converted.file.lines.values())
        said = " ".join(converted.notes)
        return [
            ".".join(map(str, leaf))
            for leaf, value in _leaves(source.data)
            if value not in (None, "")
            and not any(
                source.lines[leaf[:depth]] in mapped or _named(leaf[:depth], said)
                for depth in range(1, len(leaf) + 1)
            )
        ]

    return missing


@pytest.fixture
def all_said_or_refused(folder: Path, all_said: AllSaid) -> Callable[[str], bool]:
    """Whether a file can be loaded. If so, each of its keys was taken over or named; if not, a
    line of it is to blame."""

    def check(text: str) -> bool:
        path = folder / "theirs.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            load_config(path)
        except UserError as error:
            assert re.match(rf"{re.escape(str(path))}:\d+: ", str(error)), (text, error)
            return False
        assert all_said(text, convert(parse_yaml(text, str(path)))) == [], text
        return True

    return check


def _named(keys: Keys, said: str) -> bool:
    return re.search(rf" {re.escape('.'.join(map(str, keys)))}(?= )", said) is not None


def _leaves(value: Any, keys: Keys = ()) -> list[tuple[Keys, Any]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(item, (*keys, key))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [leaf for at, item in enumerate(value) for leaf in _leaves(item, (*keys, at))]
    return [(keys, value)]
