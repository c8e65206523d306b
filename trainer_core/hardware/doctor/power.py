"""What puts the machine to sleep in the middle of a run."""

from collections.abc import Iterator

import psutil

from trainer_core.hardware.doctor.finding import Finding, note, ok, warning
from trainer_core.hardware.doctor.surroundings import Surroundings
from trainer_core.hardware.doctor.systemd_config import assignments

AREA = "power"
SLEEPS = {"suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "sleep", "poweroff"}
STAY_AWAKE = "systemd-inhibit --what=idle:sleep:handle-lid-switch sleep 12h"


def look(place: Surroundings) -> Iterator[Finding]:
    """The battery, then what logind does with an idle machine."""
    # Not on every system does psutil know of batteries.
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is not None:
        yield _battery(battery.percent, bool(battery.power_plugged))
    idle = (assignments(place.root, "logind.conf", "Login").get("IdleAction") or [""])[-1]
    if idle in SLEEPS:
        yield warning(
            AREA,
            f"logind puts an idle machine to sleep (IdleAction={idle}), and a training machine "
            "looks idle.",
            "Keep it awake for the night, in another terminal:",
            STAY_AWAKE,
        )
    elif battery is None:
        yield ok(AREA, "No battery, and nothing is set to put the machine to sleep.")


def _battery(percent: float, plugged: bool) -> Finding:
    if not plugged:
        return warning(
            AREA,
            f"The machine is on its battery ({percent:.0f} %); training empties it and is slower.",
            "Plug it in.",
        )
    return note(
        AREA,
        "This is a laptop: it may sleep when it is idle or closed, and a run with it.",
        "Keep it awake for the night, in another terminal:",
        STAY_AWAKE,
    )
