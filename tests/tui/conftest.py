"""The `write_run` fixture: see written_runs.py."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tui.written_runs import WrittenRun

WriteRun = Callable[..., WrittenRun]


@pytest.fixture
def write_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WriteRun]:
    """Makes run folders under a home of this test's own, and closes them."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    written: list[WrittenRun] = []

    def write(name: str = "first", model: str = "models/tiny", created: float = 0.0) -> WrittenRun:
        run = WrittenRun(tmp_path / f"run-{len(written)}", name, model, created)
        written.append(run)
        return run

    yield write
    for run in written:
        run.close()
