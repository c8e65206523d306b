"""What planning asks of the data, counted in its examples."""

from trainer_core.config.schema import RunConfig
from trainer_core.planning.early import DataStats, LengthFacts
from trainer_core.planning.facts import DataFacts
from trainer_core.tokens.limit import PlannedLimit
from trainer_core.tokens.packing import Bins
from trainer_core.tokens.prepare import Prepared
from trainer_core.tokens.rows_of_batches import bins_of
from trainer_core.tokens.shards import Shard, cut


def data_stats(
    prepared: Prepared,
    config: RunConfig,
    bins: Bins | None = None,
    shards: list[Shard] | None = None,
) -> DataStats:
    """The facts of prepared data. `bins` are the rows that its training examples are packed into,
    `shards` those of a multi-run, both made here if not given. Raises UserError as `cut`."""
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
        shards=tuple(shard.facts for shard in _shards(prepared, config, shards)),
    )
    early = prepared.limit.choices if isinstance(prepared.limit, PlannedLimit) else {}
    return DataStats(facts, LengthFacts(lengths.p99, lengths.mean, lengths.max), early)


def _shards(prepared: Prepared, config: RunConfig, made: list[Shard] | None) -> list[Shard]:
    if made is not None or not config.multi_run.several:
        return made or []
    return cut(prepared, config)
