"""What `make install` says where something is missing: one sentence, and the way out."""

import os
from pathlib import Path

import pytest

from tests.packaging.checkouts import ROOT, copy_of_the_checkout, only, program, refusal

# Makes a .venv with itself as the interpreter, whose pip says $SAYS and fails.
FAILING_PIP = """#!/bin/sh
case "$*" in
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip --version" | "-c "*) exit 0 ;;
*) printf '%s\\n' "$SAYS"; exit 1 ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_of_the_checkout(tmp_path / "checkout")


def test_only_an_old_python(checkout: Path, tmp_path: Path) -> None:
    tools = only(tmp_path / "bin", "make", "sh", "rm", "touch")
    program(
        tools / "python3",
        '#!/bin/sh\ncase "$1" in --version) echo "Python 3.9.2";; *) exit 1;; esac\n',
    )
    sentence = refusal(checkout, PATH=str(tools), PYTHON="")
    assert "Python 3.11 or newer is needed" in sentence
    assert not (checkout / ".venv").exists()


def test_the_python_that_was_named_is_no_python(checkout: Path) -> None:
    assert "Python 3.11 or newer is needed" in refusal(checkout, PYTHON="/no such/python")


def test_no_venv_module(checkout: Path, tmp_path: Path) -> None:
    fake = program(
        tmp_path / "python", '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexit 0\n'
    )
    assert "no venv module" in refusal(checkout, PYTHON=str(fake))


@pytest.mark.parametrize("target", ["install", "install-gpu"])
@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ("ERROR: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "not the one that was locked"),
        ("ERROR: Could not find a version (from versions: none)", "check the network"),
        ("Max retries exceeded with url: /simple/rich/", "check the network"),
        ("ERROR: Could not find a version (from versions: 2.1, 2.2)", "no build for this Python"),
        ("Collecting networkx==3.6.1\nsomething else", "installing failed"),
    ],
)
def test_pip_fails(checkout: Path, tmp_path: Path, target: str, says: str, sentence: str) -> None:
    fake = program(tmp_path / "python", FAILING_PIP)
    assert sentence in refusal(checkout, target, PYTHON=str(fake), SAYS=says)
    assert says in (checkout / ".venv" / "install.log").read_text(encoding="utf-8")
    assert not (checkout / ".venv" / ".cpu").exists()


def test_no_network(checkout: Path) -> None:
    closed = "http://127.0.0.1:9/simple"
    sentence = refusal(
        checkout,
        PIP_INDEX_URL=closed,
        PIP_EXTRA_INDEX_URL=closed,
        PIP_CONFIG_FILE=os.devnull,
        PIP_RETRIES="0",
        PIP_NO_CACHE_DIR="1",
    )
    assert "cannot be downloaded; check the network" in sentence
    assert (checkout / ".venv" / "install.log").stat().st_size > 0


def test_the_locks_pin_all_that_people_name() -> None:
    folder = ROOT / "requirements"
    for name in ("cpu", "dev", "export", "tracking", "gpu", "llama", "llama-build", "audit"):
        wanted = {
            line.lower().replace("_", "-")
            for source in ({name, "cpu"} if name == "gpu" else {name})
            for line in (folder / f"{source}.in").read_text(encoding="utf-8").splitlines()
            if "==" in line
        }
        text = (folder / f"{name}.txt").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        pins = [line for line in lines if not line.startswith(" ")]
        assert {pin.removesuffix(" \\").lower().replace("_", "-") for pin in pins} == wanted
        assert all(pin.endswith("\\") for pin in pins), "a package without hashes"
        assert "://" not in text
