"""Data that cannot be trained on ends as one sentence before anything starts."""

from pathlib import Path

import pytest

from tests.faults.bad_inputs import DATA, BadInput
from tests.faults.in_process import refused


@pytest.mark.parametrize("bad", DATA, ids=lambda bad: bad.name)
def test_one_sentence_and_nothing_written(
    bad: BadInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(bad, tmp_path, monkeypatch)
