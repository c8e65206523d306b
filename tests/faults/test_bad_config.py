"""A config that is wrong or no config ends as one sentence, and nothing is written."""

from pathlib import Path

import pytest

from tests.faults.bad_inputs import CONFIGS, BadInput
from tests.faults.in_process import refused


@pytest.mark.parametrize("bad", CONFIGS, ids=lambda bad: bad.name)
def test_one_sentence_and_nothing_written(
    bad: BadInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(bad, tmp_path, monkeypatch)
