"""What batches are made of: examples, or rows that several of them are packed into."""

from trainer_core.config.schema import RunConfig
from trainer_core.tokens.limit import PlannedLimit
from trainer_core.tokens.packing import Bins, pack
from trainer_core.tokens.prepare import Examples, Prepared


def bins_of(
    prepared: Prepared, config: RunConfig, examples: Examples, capacity: int | None = None
) -> Bins | None:
    """The rows that examples are packed into; None where each is a row of its own. `capacity` is
    the most tokens of a row, model.max_length if not given."""
    capacity = capacity or prepared.report.max_length
    if capacity is None or packing_of(prepared, config) != "pack":
        return None
    return pack(examples.lengths, capacity)


def packing_of(prepared: Prepared, config: RunConfig) -> str:
    """`training.packing` as it was configured, or as the lengths decided."""
    limit = prepared.limit
    if isinstance(limit, PlannedLimit) and "training.packing" in limit.choices:
        return str(limit.choices["training.packing"][0])
    return config.training.packing
