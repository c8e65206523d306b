"""A training run from config to adapter, from the top: each stage is announced, then done."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer_core.config.load import LoadedConfig, load_config
from trainer_core.config.schema import RunConfig
from trainer_core.engine.base_model import cannot_load, quieten
from trainer_core.engine.checkpoint import step_of
from trainer_core.engine.identity import (
    another_training,
    differences,
    edited,
    identity_of,
)
from trainer_core.engine.preparing import Ready, make_ready
from trainer_core.engine.resuming import resume_point, resumed_step
from trainer_core.engine.room import Room
from trainer_core.engine.session import Session
from trainer_core.errors import StoppedError
from trainer_core.hardware.facts import machine_facts
from trainer_core.history.replay import as_replayed, read_replay
from trainer_core.planning.backend import BackendChoice, choose_backend, require_supported
from trainer_core.planning.bases import follow_adapter
from trainer_core.planning.facts import is_local
from trainer_core.planning.plan import ResolvedRun
from trainer_core.planning.resolved_file import read_resolved, write_resolved
from trainer_core.runs.control import Control
from trainer_core.runs.events import Finished, Notice, Plan, Stage
from trainer_core.runs.flight import Flight
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.identity import other_material, read_identity, write_identity
from trainer_core.runs.provenance import write_provenance
from trainer_core.runs.recorder import Recorder

if TYPE_CHECKING:
    from trainer_core.engine.outcome import Outcome

log = logging.getLogger(__name__)


def train(
    folder: RunFolder,
    recorder: Recorder,
    control: Control,
    *,
    own_process: bool = True,
    when_planned: Callable[[RunConfig], None] = lambda _: None,
) -> Finished:
    """Train the run in `folder`, or go on with it where a checkpoint is.

    `own_process` says that nobody else lives in this process, so that the hub may be switched off
    for all of it. `when_planned` is called when the plan stands and is recorded. Raises UserError
    for what the user can mend, StoppedError if stopped before the first step.
    """
    started = time.monotonic()
    resolved = read_resolved(folder.resolved)
    # What was planned once is gone on with as it stands, whatever became of presets meanwhile.
    loaded = as_replayed(folder, _given(folder)) if resolved is None else None
    config = _config_of(resolved, loaded)
    recorder.hardware_seconds = config.logging.hardware_seconds
    control.safety = config.safety
    logging.getLogger("trainer_core").setLevel(config.logging.level)

    quieten(offline=own_process and is_local(config.model.base))
    choice = choose_backend(config.model.backend)
    require_supported(config, gpu=bool(machine_facts().gpus))
    backend = _import_backend(choice, recorder)
    _check(control)

    ready = make_ready(loaded, resolved, choice, recorder, control, own_process=own_process)
    resumed = resumed_step(folder, ready.run)
    if resolved is None:
        write_resolved(folder.resolved, ready.run)
    with suppress(OSError):  # nothing depends on it
        write_provenance(folder, ready.prepared.report)
    run = ready.run
    recorder.record(
        Plan(
            total_steps=run.total_steps,
            epochs=run.epochs,
            values=run.values(),
            reasons=run.reasons(),
            memory=run.memory.model_dump() if run.memory is not None else {},
            resumed_from=resumed,
        )
    )
    when_planned(run.config)
    warm = _settle_identity(folder, ready, recorder, goes_on=resumed is not None)
    model = _load_model(backend, ready, recorder)
    _check(control)
    tokenizer = _their_tokenizer(ready)
    flight = Flight(folder)
    control.beat = flight.note
    room = Room(folder.path, recorder, control, config.safety.full_disk)
    session = Session(
        folder, recorder, control, backend, ready, model, tokenizer, room, flight, warm=warm
    )
    ended = _train(session, started)
    if control.failure is not None:  # the machine ended it, not the user
        raise control.failure
    return ended


def _settle_identity(folder: RunFolder, ready: Ready, recorder: Recorder, *, goes_on: bool) -> bool:
    """Write down what the run is made of; where it goes on, see that it still is. Returns whether
    it is something else now, as the user allowed. Raises UserError if nobody did."""
    now, before = identity_of(ready), read_identity(folder) if goes_on else None
    allowed = folder.warm.exists()
    changes = differences(before, now) if before is not None else []
    if not allowed:
        changes += edited(folder.config, ready.run) if goes_on else []
    if changes and not allowed:
        raise another_training(folder, changes)
    if changes:
        recorder.record(
            Notice(
                message=f"a warm resume: from the last checkpoint on with {'; '.join(changes)}",
                hint="It is not the run that it would have been.",
            )
        )
    if not goes_on:
        _say_what_differs(folder, now, recorder)
    if now != before:
        write_identity(folder, now)
    return allowed and goes_on


def _say_what_differs(folder: RunFolder, now: dict[str, Any], recorder: Recorder) -> None:
    """Of a replay: that its data or its base are not what they were."""
    replay = read_replay(folder)
    if replay is None:
        return
    changes = other_material(replay.identity, now)
    if changes:
        recorder.record(
            Notice(
                message=f"since {replay.run} this changed: {'; '.join(changes)}",
                hint="So it is not the same training.",
            )
        )


def _given(folder: RunFolder) -> LoadedConfig:
    return follow_adapter(load_config(folder.config))


def _config_of(resolved: ResolvedRun | None, loaded: LoadedConfig | None) -> RunConfig:
    if resolved is not None:
        return resolved.config
    assert loaded is not None  # noqa: S101 - one of them is there
    return loaded.config


def _import_backend(choice: BackendChoice, recorder: Recorder) -> Any:
    """The backend's module. Unsloth must come before trl, transformers and peft."""
    recorder.record(Stage(stage="importing", detail=f"{choice.name} ({choice.why})"))
    began = time.monotonic()
    if choice.name == "unsloth":
        from trainer_core.engine import unsloth_backend as backend
    else:
        from trainer_core.engine import transformers_backend as backend  # type: ignore[no-redef]
    log.info("imported %s in %.1f s", choice.name, time.monotonic() - began)
    return backend


def _load_model(backend: Any, ready: Ready, recorder: Recorder) -> Any:
    """The model to train. Raises UserError if it cannot be loaded."""
    import torch

    from trainer_core.engine.adapter import load_trained

    config = ready.run.config
    recorder.record(Stage(stage="loading", detail=config.model.base))
    began = time.monotonic()
    try:
        model = backend.load(ready.base, config, getattr(torch, config.model.dtype))
    except (OSError, ValueError, ImportError) as error:
        raise cannot_load(config.model.base, error) from error
    if config.lora.adapter is not None:
        load_trained(model, Path(config.lora.adapter))
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    everything = sum(p.numel() for p in model.parameters())
    log.info(
        "loaded %s as %s in %.1f s: %s of %s parameters are trained",
        config.model.base,
        config.model.dtype,
        time.monotonic() - began,
        f"{trainable:,}",
        f"{everything:,}",
    )
    return model


def _train(session: Session, started: float) -> Finished:
    from trainer_core.engine.attention import attend_by_example, require_packing
    from trainer_core.engine.loop import Place
    from trainer_core.engine.memory import forget_embeddings, forget_peak, measured_peak
    from trainer_core.engine.outcome import Outcome

    ready, training = session.ready, session.config.training
    outcome = Outcome(session)
    if training.packing != "off":
        attend_by_example(session.model)
        difference = require_packing(session.model, session.config.model.backend)
        log.info("packed examples do not see one another (logits differ by %.1e)", difference)
    if not ready.validation:
        log.info("no validation: the data has no rows for it")
    if ready.run.runs:
        from trainer_core.engine.multi_run import MultiRun

        several = MultiRun(session, outcome)
        if several.untouched:
            _before(session, outcome)
        return several.train(started)
    resume_from = resume_point(session.folder)
    if resume_from is None:
        _before(session, outcome)
    _check(session.control)
    loop = session.loop(
        session.folder,
        training,
        ready.train,
        ready.train_bins,
        Place(),
        outcome,
    )
    loop.on_best = outcome.save_best
    session.control.holds_work = True
    detail = f"resumed at step {step_of(resume_from)}" if resume_from else ""
    session.recorder.record(Stage(stage="training", detail=detail))
    forget_peak()
    loop.run(resume_from)
    forget_embeddings()
    return outcome.finish(loop, measured_peak(), time.monotonic() - started)


def _before(session: Session, outcome: "Outcome") -> None:
    """What a run does once, before its first step."""
    from trainer_core.engine.probe import probe_if_wanted

    outcome.answer("before", 0)
    _check(session.control)
    if session.config.safety.probe == "on":
        session.recorder.record(Stage(stage="measuring", detail="the longest examples"))
        probe_if_wanted(session.model, session.ready, session.folder, session.tokenizer)
    _check(session.control)


def _their_tokenizer(ready: Ready) -> Any:
    """TRL insists on one, and uses it for nothing: the examples are ready-made."""
    from transformers import AutoTokenizer

    trusted = ready.run.config.model.trust_remote_code
    try:
        return AutoTokenizer.from_pretrained(str(ready.base), trust_remote_code=trusted)
    except (OSError, ValueError, ImportError) as error:
        raise cannot_load(ready.run.config.model.base, error) from error


def _check(control: Control) -> None:
    if control.stopping:
        raise StoppedError("stopped before training began")
