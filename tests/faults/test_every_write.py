"""Whatever write, fsync or rename fails or is the last: what was saved before can be read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.how_many import times
from tests.faults.shim import build

pytest.importorskip("torch")

SCRIPT = Path(__file__).with_name("saving_under_faults.py")


def test_a_fault_at_any_call_leaves_what_was_saved_before(demo: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "LD_PRELOAD": str(build(tmp_path)),
        "TMPDIR": str(tmp_path),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(demo / "base"), str(times(4, 1))],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["checkpoint"]["calls"] > 20
    assert found["adapter"]["calls"] > 5
    assert [problem for kind in found.values() for problem in kind["wrong"]] == []
