"""Run folders for the screens; they are released when the test ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tui.written_run import WrittenRun


@pytest.fixture
def new_run(tmp_path: Path) -> Iterator[Callable[..., WrittenRun]]:
    """Makes runs: new_run("name", model=…, total=…)."""
    made: list[WrittenRun] = []

    def make(name: str = "20261121-120000-demo", **more: Any) -> WrittenRun:
        made.append(WrittenRun(tmp_path / f"run-{len(made)}", name, **more))
        return made[-1]

    yield make
    for run in made:
        if run.lock is not None and run.lock.is_locked:
            run.release()
