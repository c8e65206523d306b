"""What runs on this machine measured against their estimates, kept to correct later ones."""

import hashlib
import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from statistics import median

import platformdirs

from trainer_core.config.schema import RunConfig
from trainer_core.files import write_atomically
from trainer_core.hardware.facts import MachineFacts
from trainer_core.planning.facts import ModelFacts

KEPT = 5
# A run that measured something else altogether says more about that run than about the next.
SENSIBLE = (0.5, 2.0)
_VERSIONED = ("backprop-tui", "torch", "transformers", "peft", "unsloth", "bitsandbytes")


@dataclass
class Corrections:
    """Measured memory as a share of the estimate, for each kind of run."""

    shares: dict[str, list[float]] = field(default_factory=dict)

    def of(self, config: RunConfig, model: ModelFacts, machine: MachineFacts) -> float:
        """What to multiply an estimate by; 1 where nothing was measured."""
        found = self.shares.get(_key(config, model, machine))
        return median(found) if found else 1.0

    def has(self, config: RunConfig, model: ModelFacts, machine: MachineFacts) -> bool:
        """Whether a run of this kind was measured."""
        return bool(self.shares.get(_key(config, model, machine)))


def corrections_file() -> Path:
    """Where they are kept."""
    return platformdirs.user_cache_path("backprop", appauthor=False) / "memory.json"


def load_corrections() -> Corrections:
    """What was measured on this machine; nothing if the file cannot be read."""
    with suppress(OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        data = json.loads(corrections_file().read_bytes())
        low, high = SENSIBLE
        return Corrections(
            {
                str(key): [float(share) for share in shares if low <= float(share) <= high]
                for key, shares in data.items()
            }
        )
    return Corrections()


def remember(
    config: RunConfig, model: ModelFacts, machine: MachineFacts, measured: int, estimated: int
) -> None:
    """Keep a measurement. `estimated` is the estimate without any correction, both in bytes."""
    low, high = SENSIBLE
    share = measured / max(1, estimated)
    if not low <= share <= high:
        return
    known = load_corrections().shares
    key = _key(config, model, machine)
    known[key] = [*known.get(key, []), share][-KEPT:]
    with suppress(OSError):  # a cache: without it, the next estimate is less exact
        corrections_file().parent.mkdir(parents=True, exist_ok=True)
        write_atomically(corrections_file(), json.dumps(known).encode())


def _key(config: RunConfig, model: ModelFacts, machine: MachineFacts) -> str:
    device = machine.gpus[0].name if machine.gpus else "cpu"
    training = config.training
    parts = (
        device,
        *(_version(name) for name in _VERSIONED),
        model.model_type,
        str(model.shape),
        config.model.backend,
        config.model.quantization,
        config.model.dtype,
        training.method,
        training.gradient_checkpointing,
        training.optimizer,
        training.packing,
        # Runs of about as many tokens in a micro-batch: within a factor of two.
        math.ceil(math.log2(int(training.batch_size) * int(config.model.max_length))),
    )
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


@cache
def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
