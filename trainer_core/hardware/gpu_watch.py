"""What a run does about its GPUs' heat, throttling and memory errors: a state machine fed with
samples, which says what to do and does nothing itself.
"""

from dataclasses import dataclass
from typing import Literal

from trainer_core.config.safety_section import SafetySection
from trainer_core.hardware.gpu_limits import COOLED, DeviceLimits, RunLimits, run_limits
from trainer_core.hardware.gpus import Gpu
from trainer_core.text import one_line

# For how many samples in a row a GPU must be throttled, or be so no longer, before it counts: one
# alone is often a peak of power.
HELD = 3
# After so many samples without throttling (minutes) it is news again.
QUIET = 150
# What to call the reasons for throttling, those that tell more first. To be held at the power limit
# is none: that is normal.
_REASONS = {
    "heat": "the driver slows it down for heat",
    "chip_heat": "it slows itself down for heat",
    "power_brake": "the power supply makes it slow down",
    "chip": "it slows itself down",
}
_HOT = frozenset({"heat", "chip_heat"})
_COOLING = "Look at its fans, its air and its power limit."


@dataclass(frozen=True)
class Act:
    """What to do. note: a line of the log; warn: tell the user; hold: pause the run, `name` being
    the hold's; release: end that hold; stop: save and end as failed; abort: end and save nothing.
    """

    kind: Literal["note", "warn", "hold", "release", "stop", "abort"]
    message: str
    hint: str = ""
    name: str = ""


class GpuWatch:
    """Watches the GPUs of one run, in samples of a second or a few."""

    def __init__(self, safety: SafetySection, devices: list[DeviceLimits]) -> None:
        """`devices` are the limits that the GPUs name, by index."""
        self._safety = safety
        self._devices = devices
        self._watched: dict[int, _Watched] = {}

    def look(self, gpus: list[Gpu]) -> list[Act]:
        """What to do about a sample of each GPU."""
        return [act for gpu in gpus for act in self._of(gpu).look(gpu)]

    def _of(self, gpu: Gpu) -> "_Watched":
        if gpu.index not in self._watched:
            told = gpu.index < len(self._devices)
            limits = run_limits(self._safety, self._devices[gpu.index] if told else DeviceLimits())
            self._watched[gpu.index] = _Watched(self._safety, limits)
        return self._watched[gpu.index]


class _Watched:
    """One GPU, and what was said of it so far."""

    def __init__(self, safety: SafetySection, limits: RunLimits) -> None:
        self._safety = safety
        self._limits = limits
        self._name = ""
        self._over = False
        self._warned = False
        self._hot = False
        self._paused_before = False
        self._errors: dict[str, int] = {}
        self._throttled = _Throttled()
        self._at_power_cap = False

    def look(self, gpu: Gpu) -> list[Act]:
        """What to do about a sample; nothing more once the run was ended for it."""
        if self._over:
            return []
        if gpu.name != "GPU" or not self._name:  # a lost one has lost its name too
            self._name = f"GPU {gpu.index}, {one_line(gpu.name, limit=60)},"
        acts = self._lost(gpu) or [
            *self._memory(gpu),
            *self._heat(gpu),
            *self._power_cap(gpu),
            *self._throttling(gpu),
        ]
        self._over = any(act.kind in {"stop", "abort"} for act in acts)
        return acts

    def _lost(self, gpu: Gpu) -> list[Act]:
        if not gpu.lost:
            return []
        return [
            Act(
                "abort",
                f"{self._name} is lost: it fell off the bus or must be reset; the last checkpoint "
                "stands",
                "See nvidia-smi and dmesg; often only a restart of the machine helps.",
            )
        ]

    def _memory(self, gpu: Gpu) -> list[Act]:
        """New uncorrected errors since the first sample; the counters outlive runs."""
        if self._safety.memory_errors == "off":
            return []
        counts = {"memory_errors": gpu.memory_errors, "remapped_rows": gpu.remapped_rows}
        told = {name: count for name, count in counts.items() if count is not None}
        new = max(
            (count - self._errors.get(name, count) for name, count in told.items()), default=0
        )
        self._errors |= told
        if new <= 0:
            return []
        what = f"{self._name} reports {new} new uncorrected error{'s' if new > 1 else ''} of memory"
        reset = "Reset it when nothing runs on it: sudo nvidia-smi --gpu-reset."
        if self._safety.memory_errors == "warn":
            return [Act("warn", what, f"What is computed on it may be wrong. {reset}")]
        saved = f"{what}; nothing more is saved, the last checkpoint stands"
        return [Act("abort", saved, f"{reset} Should they come back, its memory is failing.")]

    def _heat(self, gpu: Gpu) -> list[Act]:
        degrees, limits = gpu.temperature, self._limits
        if degrees is None:
            return []
        at = f"{self._name} is at {degrees:.0f} °C"
        if degrees >= limits.stop:
            limit = f"{at}; from {limits.stop:.0f} °C on a run is stopped (safety.gpu_stop)"
            return [Act("stop", limit, _COOLING)]
        hold, cool = f"heat of GPU {gpu.index}", limits.pause - COOLED
        if self._hot and degrees <= cool:
            self._hot = False
            return [Act("release", f"{at}; going on", name=hold)]
        if not self._hot and degrees >= limits.pause:
            self._hot = self._warned = True
            reason = f"{at}; goes on at {cool:.0f} °C"
            acts = [Act("hold", reason, name=hold)]
            if not self._paused_before:
                self._paused_before = True
                acts.append(Act("warn", f"{at}: paused until {cool:.0f} °C", _COOLING))
            return acts
        if not self._warned and degrees >= limits.warn:
            self._warned = True
            next_limit = f"From {limits.pause:.0f} °C on the run pauses (safety.gpu_pause)."
            return [Act("warn", at, f"{next_limit} {_COOLING}")]
        self._warned = self._warned and degrees > limits.warn - COOLED
        return []

    def _power_cap(self, gpu: Gpu) -> list[Act]:
        if self._at_power_cap or "power_cap" not in (gpu.throttling or ()):
            return []
        self._at_power_cap = True
        watts = f", {gpu.power_limit:.0f} W," if gpu.power_limit is not None else ""
        return [Act("note", f"{self._name} is held at its power limit{watts} as under full load")]

    def _throttling(self, gpu: Gpu) -> list[Act]:
        setting, seen = self._safety.throttling, self._throttled
        if setting == "off" or gpu.throttling is None:
            return []
        reasons = [name for name in _REASONS if name in gpu.throttling]
        seen.count(reasons)
        hold = f"throttling of GPU {gpu.index}"
        if seen.held and seen.ended(gpu.temperature):
            seen.held = False
            return [Act("release", f"{self._name} is not throttled any more", name=hold)]
        if not seen.begins:
            return []
        what = f"{self._name} is throttled: {_REASONS[reasons[0]]}"
        acts: list[Act] = []
        if setting == "pause":
            seen.held, seen.held_at = True, gpu.temperature if _HOT & {*reasons} else None
            acts.append(Act("hold", what, name=hold))
            what += "; paused until that is over"
        if not seen.told:
            seen.told = True
            acts.append(Act("warn", what, _COOLING))
        return acts


class _Throttled:
    """Counts samples with and without throttling."""

    def __init__(self) -> None:
        self._with = self._without = 0
        # Whether this throttling was told, whether the run is paused for it, and how hot the GPU
        # was then, where it is for heat.
        self.told = False
        self.held = False
        self.held_at: float | None = None

    @property
    def begins(self) -> bool:
        """Whether it has just lasted long enough to count."""
        return self._with == HELD and not self.held

    def count(self, reasons: list[str]) -> None:
        """Take a sample in."""
        if reasons:
            self._with, self._without = self._with + 1, 0
        else:
            self._with, self._without = 0, self._without + 1
        if self._without >= QUIET:
            self.told = False

    def ended(self, degrees: float | None) -> bool:
        """Whether it is over. A GPU at rest is not throttled for heat however hot it is, so it must
        be cooler than it was as well."""
        hot = self.held_at is not None and degrees is not None and degrees > self.held_at - COOLED
        return self._without >= HELD and not hot
