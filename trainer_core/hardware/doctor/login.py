"""What ends a run when its user logs out: systemd-logind, and the user's own service manager.

KillUserProcesses=yes ends everything in the session's scope, tmux and our workers too, whether the
user lingers or not; what was started in a scope of the user manager stays, as long as the user
lingers (man logind.conf, loginctl, systemd-run).
"""

import os
import re
import sys
from collections.abc import Iterator

from trainer_core.hardware.doctor.control_group import control_groups
from trainer_core.hardware.doctor.finding import Finding, ok, problem, warning
from trainer_core.hardware.doctor.surroundings import Surroundings
from trainer_core.hardware.doctor.systemd_config import assignments, built_in, truth

AREA = "login"
LINGER = "loginctl enable-linger"
OWN_SCOPE = "systemd-run --user --scope backprop"


def look(place: Surroundings) -> Iterator[Finding]:
    """Whether a run survives a dropped connection."""
    if sys.platform == "win32":
        return
    if _over_ssh() and not (os.environ.get("TMUX") or os.environ.get("STY")):
        yield ok(
            AREA,
            "Over SSH and without tmux, which is fine: a run outlives its terminal, and "
            "`backprop attach` shows it again.",
        )
    if not (place.root / "run/systemd/system").is_dir():  # as man sd_booted
        yield ok(AREA, "No systemd-logind here that could end a run at logout.")
        return
    yield _at_logout(place, _user())


def _at_logout(place: Surroundings, user: str) -> Finding:
    where, stays = _where_we_run(place), _lingers(place, user)
    if where == "manager":
        if stays:
            return ok(
                AREA, f"Runs survive a logout: they have a scope of their own, and {user} lingers."
            )
        return warning(
            AREA,
            f"This shell belongs to the service manager of {user}, which ends at the last logout "
            "with all that runs in it.",
            "Let it linger.",
            LINGER,
        )
    if where == "service" or not kills_processes(place, user):
        return ok(AREA, "Runs survive a logout: logind does not end what a session leaves behind.")
    if stays:
        return problem(
            AREA,
            "logind ends whatever a session started as soon as you log out or the connection drops "
            "(KillUserProcesses=yes), runs and tmux too.",
            "You linger already; so start the dashboard, or tmux, in a scope of its own:",
            OWN_SCOPE,
        )
    return problem(
        AREA,
        "logind ends whatever a session started as soon as you log out or the connection drops "
        "(KillUserProcesses=yes), runs and tmux too.",
        "Let your processes linger once, and start the dashboard, or tmux, in a scope of its own.",
        f"{LINGER} && {OWN_SCOPE}",
    )


def kills_processes(place: Surroundings, user: str) -> bool:
    """Whether logind ends what a session of `user` leaves behind."""
    given = assignments(place.root, "logind.conf", "Login")
    excluded = _names(given.get("KillExcludeUsers", ["root"]))
    only = _names(given.get("KillOnlyUsers", []))
    if user in excluded:
        return False
    if only:
        return user in only
    shown = built_in(place.root, "logind.conf", "Login").get("KillUserProcesses", "no")
    values = [truth(value) for value in [shown, *given.get("KillUserProcesses", [])]]
    return next((value for value in reversed(values) if value is not None), False)


def _names(values: list[str]) -> list[str]:
    names: list[str] = []
    for value in values:
        names = [*names, *value.split()] if value else []
    return names


def _lingers(place: Surroundings, user: str) -> bool:
    """logind keeps a file for each user who does; its own word may know of more."""
    if (place.root / "var/lib/systemd/linger" / user).exists():
        return True
    return place.run("loginctl", "show-user", user, "--property=Linger", "--value") == "yes"


def _where_we_run(place: Surroundings) -> str:
    """`session` (which ends at logout), `manager` (the user's own), `service` (the system's), or
    `unknown`."""
    paths = [path for _, path in control_groups(place)]
    if any(re.search(r"/user@\d+\.service(/|$)", path) for path in paths):
        return "manager"
    if any(re.search(r"/session-[^/]+\.scope(/|$)", path) for path in paths):
        return "session"
    return "service" if any(path.startswith("/system.slice/") for path in paths) else "unknown"


def _over_ssh() -> bool:
    return bool(os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"))


def _user() -> str:
    if sys.platform == "win32":
        return ""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without an entry
        return str(os.getuid())
