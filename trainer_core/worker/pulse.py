"""Whether a job still gives signs of life."""

from collections.abc import Callable
from typing import Any

from trainer_core.config.safety_section import SafetySection
from trainer_core.errors import UserError
from trainer_core.runs.events import Event, Hardware, Stage
from trainer_core.runs.flight import read_flight
from trainer_core.runs.folder import RunFolder

# Stages in which a library does one long thing that nobody can look into.
SLOW = frozenset({"importing", "downloading", "loading"})
SLOW_FACTOR = 4
# Stages in which a job waits for someone else: the user, room on a disk, an export's own worker.
WAITING = frozenset({"paused", "waiting", "exporting"})
# What one look may add to the silence. Where more time has passed we did not run either: our
# whole process group was suspended, or the machine slept.
MOST_A_LOOK = 2.0


def stuck_seconds(folder: RunFolder) -> float | None:
    """The run's `safety.stuck_seconds`: as it was planned, else as it was configured."""
    # Here, because a supervisor starts sooner without them.
    from trainer_core.config.load import load_config
    from trainer_core.config.yaml_file import read_yaml

    default = SafetySection().stuck_seconds
    try:
        if not folder.resolved.exists():
            return load_config(folder.config).config.safety.stuck_seconds
        data: Any = read_yaml(folder.resolved).data
        return SafetySection.model_validate(data["config"]["safety"]).stuck_seconds
    except (UserError, ValueError, KeyError, TypeError):
        return default  # the job says better what is wrong with it


class Pulse:
    """Counts how long a job has been silent: no event but `hardware`, and nothing new in its flight
    record. `limit` is in seconds, None for never; `clock` is time.monotonic."""

    def __init__(
        self, folder: RunFolder, clock: Callable[[], float], limit: float | None = None
    ) -> None:
        self._folder = folder
        self.limit = limit
        self._clock = clock
        self._looked = clock()
        self._noted = _noted(folder)  # which is of an earlier life
        self.stage = ""
        self.silent = 0.0

    @property
    def hung(self) -> bool:
        """Whether the silence is longer than the stage allows."""
        if self.limit is None:
            return False
        return self.silent >= self.limit * (SLOW_FACTOR if self.stage in SLOW else 1)

    def see(self, event: Event) -> None:
        """Take an event for a sign of life."""
        if isinstance(event, Hardware):
            return
        self.silent = 0.0
        if isinstance(event, Stage):
            self.stage = event.stage

    def look(self, *, suspended: bool) -> None:
        """Count the time since the last look; none while the job waits or is suspended."""
        now = self._clock()
        passed, self._looked = now - self._looked, now
        if suspended or self.stage in WAITING:
            self.silent = 0.0
            return
        self.silent += min(passed, MOST_A_LOOK)
        if self.hung:  # only then is the record worth reading
            self._read_record(now)

    def _read_record(self, now: float) -> None:
        noted = _noted(self._folder)
        if noted is not None and noted != self._noted:
            self._noted = noted
            self.silent = min(self.silent, max(0.0, now - noted))


def _noted(folder: RunFolder) -> float | None:
    """The time of the flight record."""
    noted = read_flight(folder).get("monotonic")
    return noted if isinstance(noted, float) else None
