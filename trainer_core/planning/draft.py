"""A plan before the run: what a config would become here, from what is known without loading
anything. Quick enough to be made anew at every key press, once the data was looked at.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from trainer_core.config.load import LoadedConfig
from trainer_core.errors import UserError
from trainer_core.hardware.facts import MachineFacts
from trainer_core.planning.backend import choose_backend, require_supported
from trainer_core.planning.bases import adapter_facts, follow_adapter, known_facts
from trainer_core.planning.corrections import Corrections, load_corrections
from trainer_core.planning.early import DataStats, LengthFacts, early_choices
from trainer_core.planning.facts import DataFacts, ModelFacts
from trainer_core.planning.fitting import MemoryPlan, budget, most_tokens
from trainer_core.planning.plan import ResolvedRun, plan, way_to_fit

# Stands in for data that nobody has looked at.
UNKNOWN = DataFacts(
    train=1000, validation=50, longest=1024, tokens=400_000, trained_tokens=200_000,
    examples=1000, estimated=True,
)  # fmt: skip
# How full packed rows usually are.
FILLED = 0.97
UNKNOWN_LENGTHS = LengthFacts(p99=1024, mean=400.0, longest=1024)


@dataclass(frozen=True)
class Draft:
    """A plan, or the sentence that says why there is none. `memory` is what it needs, `budget` what
    there is, in bytes. `unknown` says that nobody looked at the data."""

    run: ResolvedRun | None = None
    problem: str = ""
    device: str = ""
    budget: int = 0
    estimated: bool = True
    unknown: bool = False
    advice: str = ""

    @property
    def memory(self) -> MemoryPlan | None:
        """The estimate; None where the model's sizes are not known."""
        return self.run.memory if self.run is not None else None


def draft(
    loaded: LoadedConfig,
    machine: MachineFacts,
    stats: DataStats | None = None,
    *,
    model: ModelFacts | None = None,
    corrections: Corrections | None = None,
) -> Draft:
    """Plan a config. Without `stats`, as if for a thousand middling examples; without `model`, its
    facts are read from its folder, the hub's cache or the preset, never from the network."""
    room, device = budget(loaded.config, machine)
    stats = stats or DataStats(UNKNOWN, UNKNOWN_LENGTHS)
    try:
        run = _plan(loaded, machine, stats, model, corrections)
    except UserError as error:
        return Draft(problem=str(error), device=device, budget=room)
    memory = run.memory
    return Draft(
        run=run,
        device=device,
        budget=room,
        estimated=stats.facts.estimated,
        unknown=stats.facts is UNKNOWN,
        advice=way_to_fit(run) if memory is not None and not memory.fits else "",
    )


def _plan(
    loaded: LoadedConfig,
    machine: MachineFacts,
    stats: DataStats,
    model: ModelFacts | None,
    corrections: Corrections | None,
) -> ResolvedRun:
    loaded = follow_adapter(loaded)
    config = loaded.config
    backend = choose_backend(config.model.backend)
    facts = model or known_facts(config, loaded.facts)
    if facts is None:
        raise UserError(
            f"the sizes of {config.model.base} are not known here",
            hint="`backprop plan` fetches its config.json; a preset brings them along.",
        )
    early = stats.early
    if not early:
        early = early_choices(config, facts, stats.lengths, most_tokens(config, facts, machine))
    packing = early.get("training.packing", (config.training.packing,))[0]
    data = _packed(stats.facts, early["model.max_length"][0]) if packing == "pack" else stats.facts
    adapter = adapter_facts(Path(config.lora.adapter)) if config.lora.adapter else None
    known = load_corrections() if corrections is None else corrections
    run = plan(loaded, machine, facts, data, backend, early, adapter, known)
    require_supported(run.config, gpu=bool(machine.gpus))
    return run


def _packed(data: DataFacts, capacity: int) -> DataFacts:
    """The same data in rows of `capacity` tokens, if they are not packed already."""
    if data.train < data.examples:
        return data
    return replace(data, train=max(1, math.ceil(data.tokens / (capacity * FILLED))))
