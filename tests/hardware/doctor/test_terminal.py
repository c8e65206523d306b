"""What the terminal shows, and what a real tmux keeps from it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainer_core.hardware.doctor import terminal, tmux
from trainer_core.hardware.doctor.finding import Finding
from trainer_core.hardware.doctor.surroundings import Surroundings
from tui.plain import shows_unicode

VARIABLES = (
    "TERM", "COLORTERM", "NO_COLOR", "LC_ALL", "LANG", "LC_CTYPE", "TMUX", "TMUX_TMPDIR", "STY",
)  # fmt: skip


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def look(columns: int = 100, lines: int = 40) -> list[Finding]:
    place = Surroundings()
    place.terminal = os.terminal_size((columns, lines))
    return list(terminal.look(place))


def levels(found: list[Finding]) -> list[str]:
    return [one.level for one in found]


def test_no_terminal_is_a_note() -> None:
    place = Surroundings()
    place.terminal = None
    (found,) = terminal.look(place)
    assert found.level == "note"
    assert "runs are shown as text" in found.text


@pytest.mark.parametrize("kind", ["", "dumb"])
def test_a_terminal_without_a_dashboard(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("TERM", kind)
    (found,) = look()
    assert (found.level, found.command) == ("warning", "export TERM=xterm-256color")


@pytest.mark.parametrize(
    ("environment", "words", "level"),
    [
        ({}, "256 colours", "ok"),
        ({"COLORTERM": "truecolor"}, "24-bit", "ok"),
        ({"TERM": "xterm"}, "8 colours", "note"),
        ({"TERM": "screen"}, "8 colours", "note"),
        ({"TERM": "xterm", "COLORTERM": "24bit"}, "24-bit", "ok"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "NO_COLOR", "ok"),
    ],
)
def test_colours(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], words: str, level: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert words in look()[0].text
    assert look()[0].level == level


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LANG": "en_US.UTF-8"},
        {"LC_ALL": "pt_BR.utf8", "LANG": "C"},
        {"LANG": "C", "LC_CTYPE": "C.UTF-8"},
        {"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"},
        {"LANG": "en_US.UTF-8", "TERM": "linux"},
    ],
)
def test_ascii_is_said_where_the_dashboard_draws_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (look()[1].level == "ok") is shows_unicode(environment)


def test_a_small_terminal() -> None:
    assert levels(look(80, 24))[-1] == "ok"
    assert levels(look(79, 24))[-1] == "note"
    assert levels(look(80, 23))[-1] == "note"


def test_escapes_in_a_variable_stay_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "x\x1b]52;c;x\x07\x9b31m-256color")
    assert not {"\x1b", "\x07", "\x9b"} & set(look()[0].text)


def test_outside_of_tmux_nothing_is_said() -> None:
    assert list(tmux.look(Surroundings())) == []


def test_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STY", "1.pts-0")
    (found,) = tmux.look(Surroundings())
    assert found.level == "note"


def test_a_tmux_that_is_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMUX", f"{tmp_path}/gone,1,0")
    (found,) = tmux.look(Surroundings())
    assert (found.level, found.command) == ("note", "unset TMUX")


@pytest.fixture
def server(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """A tmux of this test's own, without a config; TMUX names it as inside of it."""
    program = shutil.which("tmux")
    if program is None:
        pytest.skip("no tmux here")
    folder = Path("/tmp") / f"bp-{os.getpid()}-{tmp_path_factory.mktemp('t').name}"
    folder.mkdir()
    command = [program, "-S", str(folder / "s"), "-f", "/dev/null"]
    subprocess.run([*command, "new-session", "-d", "cat"], check=True)
    monkeypatch.setenv("TMUX", f"{folder / 's'},1,0")
    yield command
    subprocess.run([*command, "kill-server"], check=False)
    shutil.rmtree(folder)


def test_what_a_real_tmux_drops_and_how_to_let_it_through(server: list[str]) -> None:
    subprocess.run([*server, "set", "-s", "escape-time", "500"], check=True)
    subprocess.run([*server, "set", "-s", "set-clipboard", "external"], check=True)
    subprocess.run([*server, "set", "-s", "focus-events", "off"], check=True)
    first, *rest = tmux.look(Surroundings())
    assert first.level == "ok"
    assert first.text.startswith("This is tmux")
    assert {"note"} == set(levels(rest))
    assert any("500 ms" in one.text for one in rest)
    assert any("(set-clipboard external)" in one.text for one in rest)
    for one in rest:
        assert one.command.startswith("tmux set ")
        subprocess.run(["/bin/sh", "-c", one.command], check=True)
    assert levels(list(tmux.look(Surroundings()))) == ["ok"]


@pytest.mark.parametrize(
    ("version", "number"),
    [("tmux 3.3a", (3, 3)), ("tmux 1.8", (1, 8)), ("tmux master", (99, 0))],
)
def test_versions_of_tmux(version: str, number: tuple[int, int]) -> None:
    assert tmux._number(version) == number
