"""llama-cpp-python: compiled once and kept, and what is said where it cannot be."""

import os
from importlib.metadata import distribution
from pathlib import Path

import llama_cpp
import pytest

from tests.packaging.checkouts import ROOT, copy_of_the_checkout, only, program, refusal, run_make

WHEEL = "llama_cpp_python-0.3.36-py3-none-any.whl"
# Makes a .venv with itself as the interpreter. Its pip notes in $NOTES that it compiles, does what
# $THEN says, and makes a wheel; a wheel is whole if it says so.
FAKE = f"""#!/bin/sh
case "$*" in
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m zipfile -t "*) grep -qx whole "$4" ;;
*" wheel "*)
    echo "$CMAKE_ARGS" >>"$NOTES"
    while [ "$1" != --wheel-dir ]; do shift; done
    mkdir -p "$2"
    echo half >"$2/{WHEEL}"
    eval "${{THEN:-}}"
    echo whole >"$2/{WHEEL}"
    ;;
esac
"""
NEEDED = ("make", "sh", "rm", "cp", "mv", "mkdir", "touch", "cat", "cut", "cksum", "grep", "sed")
NEEDED += ("tr", "uname", "mktemp")


class Place:
    """Where a user has a cache, and as many checkouts as a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.environment = {
            "PYTHON": str(program(folder / "python", FAKE)),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "NOTES": str(self.notes),
            "TMPDIR": str(self.temporary),
        }

    def checkout(self, name: str = "checkout") -> Path:
        return copy_of_the_checkout(self.folder / name)

    def install(self, checkout: Path) -> None:
        done = run_make(checkout, "install-export", self.environment)
        assert done.returncode == 0, done.stderr

    @property
    def compiled(self) -> int:
        """How often it was compiled."""
        return len(self.notes.read_text().splitlines()) if self.notes.exists() else 0

    @property
    def kept(self) -> list[Path]:
        return [path for path in (self.folder / "cache").rglob("*") if path.is_file()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_is_installed_is_the_locked_one_built_as_it_must_be() -> None:
    found = distribution("llama-cpp-python")
    lock = (ROOT / "requirements" / "llama.txt").read_text(encoding="utf-8")
    assert f"llama-cpp-python=={found.version} " in lock
    libraries = {Path(str(path)).name.split(".")[0] for path in found.files or []}
    assert {"libllama", "libggml", "libggml-base", "libggml-cpu"} <= libraries
    # With every instruction of a CPU that has these, quantised models crash.
    built = llama_cpp.llama_print_system_info().decode()
    assert not any(name in built for name in ("AMX", "AVX512", "AVX_VNNI")), built


def test_once_for_all_checkouts(place: Place) -> None:
    first = place.checkout("first")
    place.install(first)
    assert place.compiled == 1
    assert "-DGGML_NATIVE=OFF" in place.notes.read_text()
    assert [path.name for path in place.kept] == [WHEEL]
    assert run_make(first, "clean", place.environment).returncode == 0
    place.install(first)
    place.install(place.checkout("second"))
    assert place.compiled == 1
    assert not list(place.temporary.iterdir())


def test_other_flags_make_another_wheel(place: Place) -> None:
    place.install(place.checkout("first"))
    second = place.checkout("second")
    (second / "scripts" / "llama.cmake").write_text("set(OTHER ON)\n")
    place.install(second)
    assert place.compiled == 2
    assert len(place.kept) == 2


def test_a_wheel_that_is_not_whole_is_made_anew(place: Place) -> None:
    place.install(place.checkout("first"))
    (wheel,) = place.kept
    wheel.write_text("hal")
    place.install(place.checkout("second"))
    assert place.compiled == 2
    assert wheel.read_text() == "whole\n"


@pytest.mark.parametrize("target", ["install-export", "test"])
def test_no_compiler(place: Place, target: str) -> None:
    tools = str(only(place.folder / "bin", *NEEDED))
    checkout = place.checkout()
    sentence = refusal(checkout, target, **place.environment, PATH=tools, CXX="")
    assert "a C++ compiler is needed to build llama-cpp-python and not found" in sentence
    assert not place.compiled
    assert not (checkout / ".venv" / ".export").exists()


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ("error: timed out is not a member of std", "does not compile here"),
        ("fatal error: No space left on device", "the disk is full"),
    ],
)
def test_it_does_not_compile(place: Place, says: str, sentence: str) -> None:
    checkout = place.checkout()
    assert sentence in refusal(
        checkout, "install-export", **place.environment, THEN=f"echo '{says}'; exit 1"
    )
    assert says in (checkout / ".venv" / "install.log").read_text(encoding="utf-8")
    assert not place.kept
    assert not list(place.temporary.iterdir())
    assert not (checkout / ".venv" / ".export").exists()


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_interrupted_it_leaves_nothing(place: Place, name: str) -> None:
    checkout = place.checkout()
    environment = {**place.environment, "THEN": f"kill -{name} 0"}
    assert run_make(checkout, "install-export", environment).returncode != 0
    assert not place.kept
    assert not list(place.temporary.iterdir())
    assert not (checkout / ".venv" / ".export").exists()
    place.install(checkout)
    assert [path.name for path in place.kept] == [WHEEL]


def test_where_nothing_can_be_kept(place: Place) -> None:
    (place.folder / "cache").write_text("a file")
    sentence = refusal(place.checkout(), "install-export", **place.environment)
    assert f"{os.fspath(place.folder)}/cache/backprop/wheels" in sentence
    assert "cannot be written" in sentence
    assert not place.compiled
