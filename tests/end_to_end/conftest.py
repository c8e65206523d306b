"""The `cli` fixture: see real_runs.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.real_runs import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    cli = Cli(tmp_path)
    yield cli
    cli.end_all()
