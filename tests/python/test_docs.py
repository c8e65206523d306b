"""docs/python.md and the README say what really runs."""

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
import transformers  # noqa: F401 - first, so that nothing trains with Unsloth in this process

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)


def blocks(path: Path) -> list[tuple[int, str]]:
    """The Python of a page, each block with its line."""
    text = path.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start()) + 2, m[1]) for m in _BLOCK.finditer(text)]


@pytest.fixture
def beside_the_demo(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the demo's model and some of its rows in it, to be worked in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").symlink_to(demo / "base")
    for name, count in (("train.jsonl", 120), ("held_out.jsonl", 40)):
        lines = (demo / name).read_text(encoding="utf-8").splitlines()
        (tmp_path / name).write_text("\n".join(lines[:count]) + "\n", encoding="utf-8")
    return tmp_path


def test_every_example_of_the_page_runs(beside_the_demo: Path) -> None:
    page, names = ROOT / "docs" / "python.md", {"__name__": "docs"}
    found = blocks(page)
    assert len(found) >= 10
    for line, code in found:
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)  # noqa: S102 - our own


def test_the_examples_of_the_readme_run(beside_the_demo: Path) -> None:
    (beside_the_demo / "held_out.jsonl").rename("rows.jsonl")
    names = {"__name__": "readme"}
    for _, code in blocks(ROOT / "README.md"):
        # An export is a process of its own, and tested where exports are.
        lines = [line for line in code.splitlines() if "export(" not in line]
        code = re.sub(r'Trainer\("[^"]+"', 'Trainer("base"', "\n".join(lines))
        code = code.replace("steps=100", "steps=2").replace("runs=5", "runs=2")
        exec(code, names)  # noqa: S102 - our own
    assert (beside_the_demo / "out" / "adapter_config.json").is_file()
    assert len(list((beside_the_demo / "runs").iterdir())) == 3
