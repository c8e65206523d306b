"""The parts of the training data that a multi-run trains on, one after the other, and the rows held
out of each to see what is forgotten. A function of the config and the data alone: a resumed run has
the same."""

from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from trainer_core.config.multi_run_section import StageSection
from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError
from trainer_core.planning.facts import ShardFacts
from trainer_core.tokens.packing import Bins
from trainer_core.tokens.prepare import Examples, Prepared
from trainer_core.tokens.rows_of_batches import bins_of

Numbers = npt.NDArray[np.int64]
# Of a small shard no more than this is held out.
MOST_HELD_OUT = 0.1
GENERAL = "general"


@dataclass(frozen=True)
class Shard:
    """What one run trains on: `own` examples, in `train` with those of runs before that are
    replayed. `held_out` ones no run trains on. `bins` are the rows that `train` is packed into."""

    name: str
    own: Examples
    train: Examples
    held_out: Examples
    bins: Bins | None = None

    @property
    def facts(self) -> ShardFacts:
        """What planning asks."""
        rows = len(self.train) if self.bins is None else len(self.bins)
        replayed = rows * (len(self.train) - len(self.own)) / max(1, len(self.train))
        return ShardFacts(self.name, rows, round(replayed))


def cut(prepared: Prepared, config: RunConfig) -> list[Shard]:
    """Deal the training examples out as `multi_run` says. Rows that say the same stay together.

    Raises UserError where a run would have nothing to train on.
    """
    every, wanted = prepared.splits["train"], config.multi_run
    texts = prepared.texts_of(every)
    parts = _told_apart(_parts(prepared, config, texts))
    if wanted.samples is not None:
        parts = [
            (name, _first_texts(numbers, texts, wanted.samples, config, place))
            for place, (name, numbers) in enumerate(parts)
        ]
    held = _hold_out([texts[numbers] for _, numbers in parts], config)
    never = np.concatenate([*held, np.empty(0, texts.dtype)])
    own = [numbers[~np.isin(texts[numbers], never)] for _, numbers in parts]
    shards = []
    for place, (name, numbers) in enumerate(parts):
        if not len(own[place]):
            raise UserError(f"nothing is left to train on in {name}", where=config.data.name)
        limit = config.multi_run.stages[place].max_length if config.multi_run.stages else None
        replayed = _replayed(own[:place], len(own[place]), config, place)
        mine, train = (
            every.chosen(part).within(limit, config.data.too_long)
            for part in (own[place], np.concatenate([own[place], replayed]))
        )
        held_out = every.chosen(numbers[np.isin(texts[numbers], held[place])])
        if not len(mine):
            raise UserError(f"no example of {name} has {limit} tokens or fewer")
        bins = bins_of(prepared, config, train, capacity=limit)
        shards.append(Shard(name, mine, train, held_out, bins))
    return shards


def slices_of(prepared: Prepared, shards: list[Shard], config: RunConfig) -> dict[str, Examples]:
    """What is scored after each run: the rows held out of each shard by its name, and "general",
    drawn from validation. Empty where nothing shall be measured; what has no rows is left out."""
    most, validation = config.multi_run.eval_rows, prepared.splits["validation"]
    drawn = np.sort(_generator(config, 3000).permutation(len(validation))[:most])
    found = {shard.name: shard.held_out for shard in shards}
    found[GENERAL] = validation.chosen(drawn)
    return {name: rows for name, rows in found.items() if len(rows)}


def _parts(prepared: Prepared, config: RunConfig, texts: Numbers) -> list[tuple[str, Numbers]]:
    """The name and the examples of each run."""
    wanted, sources = config.multi_run, config.data.train
    if wanted.stages:
        return [
            (_stage_name(stage, place, config), _of_sources(prepared, _sources(stage, place)))
            for place, stage in enumerate(wanted.stages)
        ]
    if wanted.by_source:
        return [
            (_short(source.name), _of_sources(prepared, [place]))
            for place, source in enumerate(sources)
        ]
    unique = np.unique(texts)
    if len(unique) < wanted.runs:
        raise UserError(
            f"{len(unique):,} different rows cannot be cut into {wanted.runs} shards",
            where=config.data.name,
            hint="Set fewer multi_run.runs.",
        )
    dealt = _generator(config, -1).permutation(unique)
    return [
        (f"shard {place + 1}", np.flatnonzero(np.isin(texts, dealt[place :: wanted.runs])))
        for place in range(wanted.runs)
    ]


def _told_apart(parts: list[tuple[str, Numbers]]) -> list[tuple[str, Numbers]]:
    """The same name twice, or that of the general slice, gets a number."""
    names = [GENERAL]
    for name, _ in parts:
        again = next(n for n in range(1, len(parts) + 2) if _numbered(name, n) not in names)
        names.append(_numbered(name, again))
    return [(name, numbers) for name, (_, numbers) in zip(names[1:], parts, strict=True)]


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name} ({number})"


def _stage_name(stage: StageSection, place: int, config: RunConfig) -> str:
    if stage.name is not None:
        return stage.name
    names = [_short(config.data.train[number].name) for number in _sources(stage, place)]
    return " + ".join(names)


def _sources(stage: StageSection, place: int) -> list[int]:
    """Counted from 0."""
    return [place] if stage.sources is None else [number - 1 for number in stage.sources]


def _of_sources(prepared: Prepared, sources: list[int]) -> Numbers:
    return np.flatnonzero(np.isin(prepared.sources_of(prepared.splits["train"]), sources))


def _short(name: str) -> str:
    return PurePath(name).stem or name


def _first_texts(
    numbers: Numbers, texts: Numbers, most: int, config: RunConfig, place: int
) -> Numbers:
    """The examples of `most` different rows, drawn by the seed."""
    unique = np.unique(texts[numbers])
    drawn = _generator(config, place).permutation(unique)[:most]
    return numbers[np.isin(texts[numbers], drawn)]


def _hold_out(parts: list[Numbers], config: RunConfig) -> list[Numbers]:
    """Of the texts of each part those that are held out. What one part holds out counts for a later
    one that has it too. Raises UserError where nothing can be spared."""
    held: list[Numbers] = []
    for place, texts in enumerate(parts):
        unique = np.unique(texts)
        most = min(config.multi_run.eval_rows, max(1, int(len(unique) * MOST_HELD_OUT)))
        if most and len(unique) < 2:
            raise UserError(
                f"run {place + 1} has a single row, and one is to be held out",
                where=config.data.name,
                hint="Give it more rows, or set multi_run.eval_rows: 0.",
            )
        drawn = _generator(config, 1000 + place).permutation(unique)
        before = np.isin(drawn, np.concatenate([*held, unique[:0]]))
        held.append(np.concatenate([drawn[before], drawn[~before]])[:most])
    return held


def _replayed(before: list[Numbers], own: int, config: RunConfig, place: int) -> Numbers:
    """Examples of runs before, so many that they make up `replay` of the run's."""
    share = config.multi_run.replay
    wanted = round(own * share / (1 - share))
    if not before or not wanted:
        return np.empty(0, dtype=np.int64)
    how, draw = config.multi_run.replay_from, _generator(config, 2000 + place)
    if how == "recent":
        pools, counts = before[-1:], [wanted]
    elif how == "random":
        pools, counts = [np.concatenate(before)], [wanted]
    else:
        pools = before
        counts = [wanted // len(pools) + (n < wanted % len(pools)) for n in range(len(pools))]
    drawn = [draw.permutation(pool)[:count] for pool, count in zip(pools, counts, strict=True)]
    return np.sort(np.concatenate(drawn))


def _generator(config: RunConfig, number: int) -> np.random.Generator:
    return np.random.default_rng([config.training.seed, number + 1])
