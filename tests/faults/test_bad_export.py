"""Hostile models and adapters, and exports that cannot be, end as one sentence."""

from pathlib import Path

import pytest

from tests.faults.bad_inputs import EXPORTS, MODELS, BadInput
from tests.faults.in_process import refused


@pytest.mark.parametrize("bad", [*MODELS, *EXPORTS], ids=lambda bad: bad.name)
def test_one_sentence_and_nothing_written(
    bad: BadInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(bad, tmp_path, monkeypatch)
