"""What `make install` says where something is missing: one sentence, and the way out."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, copy / name)
    for name in ("requirements", "scripts"):
        shutil.copytree(ROOT / name, copy / name)
    return copy


def make(checkout: Path, **environment: str) -> str:
    done = subprocess.run(
        ["make", "install"],
        cwd=checkout,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("backprop: ")]
    return sentence


def test_an_old_python(checkout: Path) -> None:
    assert "Python 3.11 or newer is needed" in make(checkout, PYTHON="false")


def test_no_venv_module(checkout: Path, tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexit 0\n')
    fake.chmod(0o755)
    assert "no venv module" in make(checkout, PYTHON=str(fake))


def test_no_network(checkout: Path) -> None:
    closed = "http://127.0.0.1:9/simple"
    sentence = make(
        checkout,
        PIP_INDEX_URL=closed,
        PIP_EXTRA_INDEX_URL=closed,
        PIP_CONFIG_FILE=os.devnull,
        PIP_RETRIES="0",
        PIP_NO_CACHE_DIR="1",
    )
    assert "cannot be downloaded; check the network" in sentence
