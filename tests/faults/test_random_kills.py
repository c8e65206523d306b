"""A run that is killed at random moments needs nobody, and ends as if nothing had been."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.how_many import WHOLE, times

pytest.importorskip("torch")

SCRIPT = Path(__file__).with_name("random_kills.py")
CASES = {
    "batches": [],
    "packed": ["training.packing=pack", "training.batch_size=1"],
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", CASES if WHOLE else ["batches"])
def test_a_run_that_is_killed_needs_nobody(case: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(times(3, 100)), "7", *CASES[case]],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] >= times(3, 100)
    assert found["why"] == []
    assert (found["interventions"], found["different"]) == (0, 0)
    assert found["lost"] <= 2  # training.save_steps there
