"""Versions: against the lock, against what is known to fail, and what each extra would add."""

from pathlib import Path

import pytest

from tests.hardware.doctor.laid_out import install, machine
from trainer_core.hardware.doctor import extras, libraries
from trainer_core.hardware.doctor.driver import Driver
from trainer_core.hardware.doctor.finding import Finding
from trainer_core.hardware.doctor.locks import lock_folder, read_lock

GPU = Driver(version="580", cuda=(13, 0), installed=1)


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    folder = tmp_path / "requirements"
    folder.mkdir()
    hashes = "    --hash=sha256:0\n"
    (folder / "cpu.txt").write_text(
        f"# a comment\ntrl==1.14.2 \\\n{hashes}PyYAML==6.0.3 \\\n{hashes}"
    )
    (folder / "torch-cpu.txt").write_text("torch==2.13.0+cpu\n")
    (folder / "gpu.txt").write_text("trl==1.14.2 \\\ntorch==2.13.0 \\\ntriton==3.7.1 \\\n")
    return folder


def look(tmp_path: Path, locks: Path) -> list[Finding]:
    return list(libraries.look(machine(tmp_path, {}), locks))


def test_all_as_locked(tmp_path: Path, locks: Path) -> None:
    for name, version in (("trl", "1.14.2"), ("pyyaml", "6.0.3"), ("torch", "2.13.0+cpu")):
        install(tmp_path, name, version)
    install(tmp_path, "of-the-user", "1.0")
    (found,) = look(tmp_path, locks)
    assert found.level == "ok"
    assert "All 3 libraries" in found.text


def test_another_build_of_torch_is_the_same_version(tmp_path: Path, locks: Path) -> None:
    install(tmp_path, "torch", "2.13.0+cu130")
    assert look(tmp_path, locks)[0].level == "ok"


def test_what_differs_is_named_and_what_is_missing_is_not(tmp_path: Path, locks: Path) -> None:
    install(tmp_path, "PyYAML", "5.4")
    (found,) = look(tmp_path, locks)
    assert found.level == "note"
    assert "1 of 1 libraries differ from the lock (cpu.txt): pyyaml 5.4 (lock: 6.0.3)" in found.text
    assert found.command.startswith("pip install --no-deps -r ")
    assert found.command.endswith("requirements/cpu.txt")


def test_in_a_checkout_make_installs_the_lock(tmp_path: Path, locks: Path) -> None:
    (tmp_path / "Makefile").touch()
    install(tmp_path, "PyYAML", "5.4")
    assert look(tmp_path, locks)[-1].command == "make -B install"
    place = machine(tmp_path, {}, GPU)
    install(tmp_path, "triton", "3.0")
    assert list(libraries.look(place, locks))[-1].command == "make -B install-gpu"


@pytest.mark.parametrize("version", ["1.15.0", "1.16.0"])
def test_trl_that_needs_triton_is_a_problem_without_it(
    tmp_path: Path, locks: Path, version: str
) -> None:
    install(tmp_path, "trl", version)
    bad, differs = look(tmp_path, locks)
    assert bad.level == "problem"
    assert "Triton" in bad.text
    assert bad.command == "pip install --no-deps trl==1.14.2"
    assert differs.level == "note"
    install(tmp_path, "triton", "3.7.1")
    assert [one.level for one in look(tmp_path, locks)] == ["note"]


def test_an_unsafe_torch_is_a_warning(tmp_path: Path, locks: Path) -> None:
    install(tmp_path, "torch", "2.9.1")
    assert "CVE-2026-24747" in look(tmp_path, locks)[0].text


def test_what_unsloth_does_not_allow_is_said_once(tmp_path: Path, locks: Path) -> None:
    install(tmp_path, "trl", "2.0")
    install(tmp_path, "certifi", "1")
    asks = ("trl!=0.19.0,<=1.15.0", "certifi>=9000", "torchvision", "trl<1; extra == 'old'")
    install(tmp_path, "unsloth", "2026.10.9", asks)
    install(tmp_path, "unsloth_zoo", "2026.10.9", asks)
    warned = [one for one in look(tmp_path, locks) if one.level == "warning"]
    assert len(warned) == 1
    assert warned[0].text.count("(<=1.15.0)") == 2
    assert warned[0].command == "pip install --no-deps trl==1.14.2"


def test_a_lock_that_is_not_there_is_a_note(tmp_path: Path) -> None:
    install(tmp_path, "trl", "1.16.0")
    bad, unread = list(libraries.look(machine(tmp_path, {}), tmp_path / "none"))
    assert (bad.level, bad.command) == ("problem", "")
    assert unread.level == "note"
    assert "cannot be read" in unread.text


def test_the_real_locks_are_read_whole() -> None:
    for kind in ("cpu", "gpu"):
        lock = read_lock(kind, lock_folder())
        assert len(lock) > 80
        assert {"torch", "trl", "unsloth-zoo", "pyyaml"} <= lock.keys()
        assert not any(mark in version for version in lock.values() for mark in " \\;#")


def ours(tmp_path: Path) -> None:
    install(
        tmp_path,
        "backprop-tui",
        "0.1.0",
        (
            "textual==8.2.8",
            "gguf>=0.19; extra == 'export'",
            "llama-cpp-python>=0.3; extra == 'export'",
            "textual-serve; extra == 'web'",
            "gguf>=0.19; extra == 'full'",
            "pytest; extra == 'dev'",
        ),
        extras="export web full dev",
    )
    install(tmp_path, "textual", "8.2.8")


def test_extras_are_told_with_what_they_would_add(tmp_path: Path, locks: Path) -> None:
    ours(tmp_path)
    install(tmp_path, "GGUF", "0.19.0")
    export, web = extras.look(machine(tmp_path, {}), locks)
    assert (export.level, web.level) == ("note", "note")
    assert "without llama-cpp-python" in export.text
    assert "gguf, llama-cpp-python" in export.hint
    assert export.command == "CMAKE_ARGS=-DGGML_NATIVE=OFF pip install 'backprop-tui[export]'"
    assert web.command == "pip install 'backprop-tui[web]'"
    assert "not installed" in web.text
    install(tmp_path, "textual_serve", "1.1.3")
    assert list(extras.look(machine(tmp_path, {}), locks))[1].level == "ok"


def test_in_a_checkout_make_installs_what_it_pins(tmp_path: Path, locks: Path) -> None:
    (tmp_path / "Makefile").touch()
    ours(tmp_path)
    export, web = extras.look(machine(tmp_path, {}), locks)
    assert export.command == "make install-export"
    assert web.command == "pip install 'backprop-tui[web]'"


def test_what_backprop_itself_needs_is_a_problem_if_it_is_another(tmp_path: Path) -> None:
    install(tmp_path, "backprop-tui", "0.1.0", ("textual==8.2.8", "rich>=15"))
    install(tmp_path, "textual", "9.0")
    (found,) = extras.look(machine(tmp_path, {}))
    assert found.level == "problem"
    assert "textual==8.2.8 (here: 9.0), rich>=15 (here: nothing)" in found.text
    assert found.command == "pip install 'textual==8.2.8' 'rich>=15'"


def test_from_its_sources_alone_the_extras_are_not_known(tmp_path: Path) -> None:
    (found,) = extras.look(machine(tmp_path, {}))
    assert (found.level, found.command) == ("note", "pip install --no-deps -e .")
