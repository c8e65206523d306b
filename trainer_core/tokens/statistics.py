"""What planning asks of the data, counted in its examples."""

from trainer_core.config.schema import RunConfig
from trainer_core.planning.early import DataStats, LengthFacts
from trainer_core.planning.facts import DataFacts
from trainer_core.tokens.limit import PlannedLimit
from trainer_core.tokens.packing import Bins, pack
from trainer_core.tokens.prepare import Examples, Prepared


def bins_of(prepared: Prepared, config: RunConfig, examples: Examples) -> Bins | None:
    """The rows that examples are packed into; None where each is a row of its own."""
    capacity = prepared.report.max_length
    if capacity is None or packing_of(prepared, config) != "pack":
        return None
    return pack(examples.lengths, capacity)


def packing_of(prepared: Prepared, config: RunConfig) -> str:
    """`training.packing` as it was configured, or as the lengths decided."""
    limit = prepared.limit
    if isinstance(limit, PlannedLimit) and "training.packing" in limit.choices:
        return str(limit.choices["training.packing"][0])
    return config.training.packing


def data_stats(prepared: Prepared, config: RunConfig, bins: Bins | None = None) -> DataStats:
    """The facts of prepared data. `bins` are the rows that its training examples are packed into,
    made here if not given."""
    train, validation = prepared.splits["train"], prepared.splits["validation"]
    bins = bins_of(prepared, config, train) if bins is None else bins
    report = prepared.report.split("train")
    lengths = report.lengths
    facts = DataFacts(
        train=len(train) if bins is None else len(bins),
        validation=len(validation),
        longest=int(train.lengths.max()) if len(train) else 0,
        tokens=report.tokens,
        trained_tokens=report.trained_tokens,
        examples=len(train),
    )
    early = prepared.limit.choices if isinstance(prepared.limit, PlannedLimit) else {}
    return DataStats(facts, LengthFacts(lengths.p99, lengths.mean, lengths.max), early)
