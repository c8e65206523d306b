"""Checkouts in which `make` meets what a test wants it to meet."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copy_of_the_checkout(folder: Path) -> Path:
    """What `make install` and its relatives need, in `folder`."""
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("requirements", "scripts"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def program(path: Path, text: str) -> Path:
    """An executable file."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def only(folder: Path, *names: str) -> Path:
    """A folder for PATH that has these programs and no others."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return folder


def run_make(
    checkout: Path, target: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """`make target`, in a group of processes of its own."""
    # Not what `make test` hands down, should it be what runs us.
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(
        ["make", target],
        cwd=checkout,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background may have Ctrl+C ignored, and a shell cannot
        # undo that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def refusal(checkout: Path, target: str = "install", **environment: str) -> str:
    """The one sentence that `make target` ends with."""
    done = run_make(checkout, target, environment)
    assert done.returncode != 0
    sentence, *rest = done.stderr.splitlines()
    assert sentence.startswith("backprop: ")
    assert all(line.startswith("make: ***") for line in rest), done.stderr
    return sentence
