"""A run is not lost at logout without a word: logind's settings, lingering, and where we run."""

from pathlib import Path

import pytest

from tests.hardware.doctor.laid_out import machine
from trainer_core.hardware.doctor import login
from trainer_core.hardware.doctor.finding import Finding
from trainer_core.hardware.doctor.systemd_config import assignments

USER = login._user()
SESSION = {"proc/self/cgroup": "0::/user.slice/user-1000.slice/session-3.scope\n"}
MANAGER = {"proc/self/cgroup": "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x\n"}
SERVICE = {"proc/self/cgroup": "0::/system.slice/cron.service\n"}
BOOTED = {"run/systemd/system/x": ""}
KILLS = {"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\nKillExcludeUsers=\n"}


@pytest.fixture(autouse=True)
def no_ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No SSH, and no loginctl that could know of this machine's own user."""
    for name in ("SSH_CONNECTION", "SSH_TTY", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def only(tmp_path: Path, *files: dict[str, str]) -> Finding:
    place = machine(tmp_path, {name: text for some in files for name, text in some.items()})
    (finding,) = login.look(place)
    return finding


def test_a_session_whose_processes_are_killed_is_a_problem_with_a_way_out(tmp_path: Path) -> None:
    found = only(tmp_path, BOOTED, SESSION, KILLS)
    assert found.level == "problem"
    assert "KillUserProcesses=yes" in found.text
    assert found.command == "loginctl enable-linger && systemd-run --user --scope backprop"


def test_lingering_alone_does_not_save_what_a_session_started(tmp_path: Path) -> None:
    found = only(tmp_path, BOOTED, SESSION, KILLS, {f"var/lib/systemd/linger/{USER}": ""})
    assert found.level == "problem"
    assert found.command == "systemd-run --user --scope backprop"


def test_a_scope_of_the_user_manager_stays_as_long_as_the_user_lingers(tmp_path: Path) -> None:
    found = only(tmp_path, BOOTED, MANAGER, KILLS)
    assert (found.level, found.command) == ("warning", "loginctl enable-linger")
    found = only(tmp_path, BOOTED, MANAGER, KILLS, {f"var/lib/systemd/linger/{USER}": ""})
    assert found.level == "ok"


def test_loginctl_is_asked_where_there_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "loginctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1 $2" = "show-user {USER}" ] && echo yes\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    assert only(tmp_path, BOOTED, MANAGER, KILLS).level == "ok"


def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "loginctl"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    monkeypatch.setattr("trainer_core.hardware.doctor.surroundings.COMMAND_SECONDS", 0.1)
    assert only(tmp_path, BOOTED, MANAGER).level == "warning"


@pytest.mark.parametrize("files", [{}, {"run/systemd/seats/x": "", **SESSION, **KILLS}])
def test_without_logind_nothing_ends_a_run(tmp_path: Path, files: dict[str, str]) -> None:
    assert only(tmp_path, files).level == "ok"


def test_a_service_of_the_system_has_no_session(tmp_path: Path) -> None:
    assert only(tmp_path, BOOTED, SERVICE, KILLS).level == "ok"


def test_ssh_without_tmux_is_fine_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22")
    first, *_ = login.look(machine(tmp_path, {}))
    assert first.level == "ok"
    assert "a run outlives its terminal" in first.text
    monkeypatch.setenv("TMUX", "/tmp/x,1,0")
    assert len(list(login.look(machine(tmp_path, {})))) == 1


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        ({}, False),
        # What the shipped file shows in a comment is what the system was built with.
        ({"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=no\n"}, False),
        ({"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=yes\n"}, True),
        ({"usr/lib/systemd/logind.conf": "[Login]\nKillUserProcesses=on\n"}, True),
        # The first main file alone counts.
        (
            {
                "etc/systemd/logind.conf": "[Login]\n",
                "usr/lib/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\n",
            },
            False,
        ),
        ({"etc/systemd/logind.conf": "[Other]\nKillUserProcesses=yes\n"}, False),
        ({"etc/systemd/logind.conf": "[Login]\nKillUserProcesses = 1 \n"}, True),
        ({"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=perhaps\n"}, False),
        ({"etc/systemd/logind.conf": "[Login]\n; KillUserProcesses=yes\n"}, False),
        # Drop-ins come after it, whatever folder they are in, in the order of their names.
        (
            {
                "etc/systemd/logind.conf": "[Login]\nKillUserProcesses=no\n",
                "usr/lib/systemd/logind.conf.d/50-kill.conf": "[Login]\nKillUserProcesses=yes\n",
            },
            True,
        ),
        (
            {
                "etc/systemd/logind.conf.d/10-no.conf": "[Login]\nKillUserProcesses=no\n",
                "usr/lib/systemd/logind.conf.d/50-kill.conf": "[Login]\nKillUserProcesses=yes\n",
            },
            True,
        ),
        # Of two of one name the one in /etc holds.
        (
            {
                "etc/systemd/logind.conf.d/50-kill.conf": "[Login]\nKillUserProcesses=no\n",
                "usr/lib/systemd/logind.conf.d/50-kill.conf": "[Login]\nKillUserProcesses=yes\n",
            },
            False,
        ),
        (
            {
                "run/systemd/logind.conf.d/50-kill.conf": "[Login]\n",
                "usr/lib/systemd/logind.conf.d/50-kill.conf": "[Login]\nKillUserProcesses=yes\n",
            },
            False,
        ),
        ({"etc/systemd/logind.conf.d/not-read": "[Login]\nKillUserProcesses=yes\n"}, False),
        (
            {"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\nKillExcludeUsers=a b\n"},
            False,
        ),
        ({"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=no\nKillOnlyUsers=a\n"}, True),
        ({"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\nKillOnlyUsers=b\n"}, False),
    ],
)
def test_settings_are_put_together_as_systemd_does(
    tmp_path: Path, files: dict[str, str], kills: bool
) -> None:
    assert login.kills_processes(machine(tmp_path, files), "a") is kills


def test_root_is_spared_unless_the_list_is_set(tmp_path: Path) -> None:
    yes = "[Login]\nKillUserProcesses=yes\n"
    place = machine(tmp_path, {"etc/systemd/logind.conf": yes})
    assert not login.kills_processes(place, "root")
    place = machine(tmp_path, {"etc/systemd/logind.conf": f"{yes}KillExcludeUsers=\n"})
    assert login.kills_processes(place, "root")


def test_a_link_to_dev_null_hides_a_drop_in(tmp_path: Path) -> None:
    name = "logind.conf.d/50-kill.conf"
    place = machine(
        tmp_path, {f"usr/lib/systemd/{name}": "[Login]\nKillUserProcesses=yes\n", "etc/x": ""}
    )
    hiding = place.root / "etc/systemd" / name
    hiding.parent.mkdir(parents=True)
    hiding.symlink_to("/dev/null")
    assert assignments(place.root, "logind.conf", "Login") == {}


def test_a_value_may_go_on_in_the_next_line(tmp_path: Path) -> None:
    text = "[Login]\nKillExcludeUsers=a \\\n b\nIdleAction=suspend\n"
    place = machine(tmp_path, {"etc/systemd/logind.conf": text})
    found = assignments(place.root, "logind.conf", "Login")
    assert found["KillExcludeUsers"][0].split() == ["a", "b"]
    assert found["IdleAction"] == ["suspend"]
