"""Everything that is known before the weights are loaded: the examples and the plan."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from trainer_core.config.load import LoadedConfig
from trainer_core.config.schema import RunConfig
from trainer_core.data.report import DataReport
from trainer_core.engine.base_model import fetch
from trainer_core.errors import StoppedError, UserError
from trainer_core.hardware.facts import machine_facts
from trainer_core.planning.backend import BackendChoice, require_supported
from trainer_core.planning.bases import adapter_facts
from trainer_core.planning.corrections import load_corrections
from trainer_core.planning.facts import ModelFacts, is_local, model_facts
from trainer_core.planning.plan import ResolvedRun, plan, way_to_fit
from trainer_core.runs.control import Control
from trainer_core.runs.events import Notice, Progress, Stage
from trainer_core.runs.recorder import Recorder
from trainer_core.text import size
from trainer_core.tokens.encode_chunk import EncoderSetup
from trainer_core.tokens.examples import Encoder
from trainer_core.tokens.limit import PlannedLimit
from trainer_core.tokens.packing import Bins, fill_rate
from trainer_core.tokens.pool import usable_workers
from trainer_core.tokens.prepare import Examples, Prepared, prepare
from trainer_core.tokens.rows_of_batches import bins_of
from trainer_core.tokens.shards import Shard, cut, slices_of
from trainer_core.tokens.statistics import data_stats
from trainer_core.tokens.tokenizer import load_tokenizer

log = logging.getLogger(__name__)
PROGRESS_SECONDS = 0.5


@dataclass(frozen=True)
class Ready:
    """What the loop needs besides the model."""

    base: Path
    facts: ModelFacts
    encoder: Encoder
    train: Examples
    validation: Examples
    run: ResolvedRun
    prepared: Prepared
    # Where examples are packed: the rows of each split.
    train_bins: Bins | None = None
    validation_bins: Bins | None = None
    # Of a multi-run: what each run trains on, and what is scored after each.
    shards: list[Shard] = field(default_factory=list)
    slices: dict[str, Examples] = field(default_factory=dict)


def make_ready(
    loaded: LoadedConfig | None,
    resolved: ResolvedRun | None,
    choice: BackendChoice,
    recorder: Recorder,
    control: Control,
    *,
    own_process: bool,
) -> Ready:
    """Fetch the base, encode the data, and plan `loaded` unless the run was planned before.

    Raises UserError, and StoppedError if the user ends it meanwhile.
    """
    config = resolved.config if resolved is not None else loaded.config if loaded else None
    assert config is not None  # noqa: S101 - a run is resumed or begins with a config
    if not is_local(config.model.base):
        recorder.record(Stage(stage="downloading", detail=config.model.base))
    base = fetch(config.model.base, config.model.revision, code=config.model.trust_remote_code)
    facts = model_facts(base)
    adapter = adapter_facts(Path(config.lora.adapter)) if config.lora.adapter else None
    recorder.record(Stage(stage="tokenizing", detail=config.data.name))
    prepared = _encode(config, base, facts, recorder, control, own_process=own_process)
    _say_report(prepared.report, recorder)
    train, validation = prepared.splits["train"], prepared.splits["validation"]
    if not len(train):
        raise _nothing_left(config, prepared.report)
    train_bins, validation_bins = (bins_of(prepared, config, part) for part in (train, validation))
    _say_packing(train, train_bins, prepared.report.max_length or 0)
    shards = cut(prepared, config) if config.multi_run.several else []
    if resolved is None and loaded is not None:
        recorder.record(Stage(stage="planning"))
        stats = data_stats(prepared, config, train_bins, shards)
        resolved = plan(
            loaded,
            machine_facts(),
            facts,
            stats.facts,
            choice,
            stats.early,
            adapter,
            load_corrections(),
        )
        require_supported(resolved.config, gpu=bool(machine_facts().gpus))
        _say_plan(resolved, recorder)
    assert resolved is not None  # noqa: S101 - it was made just now
    encoder = Encoder(load_tokenizer(base, config.model.template), config.model.base)
    return Ready(
        base,
        facts,
        encoder,
        train,
        validation,
        resolved,
        prepared,
        train_bins,
        validation_bins,
        shards,
        slices_of(prepared, shards, config) if shards else {},
    )


def _encode(
    config: RunConfig,
    base: Path,
    facts: ModelFacts,
    recorder: Recorder,
    control: Control,
    *,
    own_process: bool,
) -> Prepared:
    setup = EncoderSetup(base, config.model.template, config.model.base, config.data.train_on)
    return prepare(
        config.data,
        setup,
        PlannedLimit(config, facts),
        config.training.seed,
        workers=usable_workers(config.data.workers, own_process=own_process),
        progress=_progress(recorder, control),
    )


def _say_plan(run: ResolvedRun, recorder: Recorder) -> None:
    """What the plan warns of. Raises UserError if the run will not fit and must not be tried."""
    for warning in run.warnings:
        recorder.record(Notice(message=warning))
    memory = run.memory
    if memory is None or memory.fits:
        return
    message = (
        f"the run needs about {size(memory.total)} of memory, and {memory.device} has "
        f"{size(memory.budget)}"
    )
    hint = way_to_fit(run)
    if run.config.safety.over_memory == "stop":
        raise UserError(message, hint=hint)
    recorder.record(Notice(message=message, hint=hint))


def _progress(recorder: Recorder, control: Control) -> Callable[[int, float], None]:
    said = time.monotonic()

    def progress(rows: int, seconds: float) -> None:
        nonlocal said
        if control.stopping:
            raise StoppedError("stopped before training began")
        now = time.monotonic()
        if now - said >= PROGRESS_SECONDS:
            said = now
            rate = rows / seconds if seconds else None
            recorder.record(Progress(stage="tokenizing", done=rows, unit="rows", rate=rate))

    return progress


def _say_report(report: DataReport, recorder: Recorder) -> None:
    """What a person should know of the data, in the log; what was dropped as a notice."""
    for source in report.sources:
        log.info("%s: %s rows, %s (%s)", source.name, f"{source.rows:,}", source.format, source.why)
    for split in report.splits:
        log.info(
            "%s: %s examples, %s tokens of which %s are trained, longest %s",
            split.name,
            f"{split.examples:,}",
            f"{split.tokens:,}",
            f"{split.trained_tokens:,}",
            f"{split.lengths.max:,}",
        )
    for kind, count in report.counts.items():
        where = [problem.where for problem in report.problems if problem.kind == kind]
        shown = ", ".join(where[:3]) + ("…" if count > 3 else "")
        recorder.record(
            Notice(message=f"{count:,} rows {report.fates[kind]}: {kind}", hint=f"First: {shown}")
        )


def _say_packing(examples: Examples, bins: Bins | None, capacity: int) -> None:
    if bins is not None and len(bins):
        log.info(
            "%s examples packed into %s rows of %s tokens, %.1f %% filled",
            f"{len(examples):,}",
            f"{len(bins):,}",
            f"{capacity:,}",
            100 * fill_rate(examples.lengths, bins, capacity),
        )


def _nothing_left(config: RunConfig, report: DataReport) -> UserError:
    found = ", ".join(f"{count:,} {kind}" for kind, count in report.counts.items())
    return UserError(
        "no row is left to train on",
        where=config.data.name,
        hint=f"Of {report.rows:,} rows: {found or 'all are in other splits'}.",
    )
