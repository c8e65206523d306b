"""A job that dies without a word is explained in plain words, with the way to go on."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trainer_core.runs.folder import RunFolder
from trainer_core.worker.death import explain


def exit_code(code: str) -> int:
    return subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode


@pytest.mark.parametrize(
    ("number", "cause", "words"),
    [
        (signal.SIGKILL, "killed", "killed from outside (SIGKILL)"),
        (signal.SIGTERM, "killed", "killed from outside (SIGTERM)"),
        (signal.SIGSEGV, "crashed", "native code (SIGSEGV)"),
        (signal.SIGILL, "crashed", "native code (SIGILL)"),
    ],
)
def test_signals(tmp_path: Path, number: signal.Signals, cause: str, words: str) -> None:
    code = exit_code(
        "import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "
        f"os.kill(os.getpid(), {int(number)})"
    )
    failed = explain(code, False, 7, RunFolder(tmp_path))
    assert failed.cause == cause
    assert words in failed.message
    assert failed.step == 7
    assert failed.exit_status == 1
    assert f"--resume {tmp_path}" in failed.hint
    assert "worker.log" in failed.hint


def test_out_of_memory(tmp_path: Path) -> None:
    failed = explain(-9, True, 0, RunFolder(tmp_path))
    assert failed.cause == "out-of-memory"
    assert "batch_size" in failed.hint


@pytest.mark.parametrize("code", [0, 1, 77, None, -64, -250])
def test_anything_else_still_has_a_sentence(tmp_path: Path, code: int | None) -> None:
    failed = explain(code, False, 0, RunFolder(tmp_path))
    assert failed.cause == "crashed"
    assert failed.message
