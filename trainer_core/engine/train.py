"""A training run from config to adapter, from the top: each stage is announced, then done."""

import logging
import time
from pathlib import Path
from typing import Any, Literal

from trainer_core.config.load import load_config
from trainer_core.engine.base_model import quieten
from trainer_core.engine.preparing import Ready, make_ready
from trainer_core.errors import StoppedError, UserError
from trainer_core.planning.backend import BackendChoice, choose_backend
from trainer_core.planning.facts import is_local
from trainer_core.planning.resolved_file import read_resolved, write_resolved
from trainer_core.runs.control import Control
from trainer_core.runs.events import Finished, Plan, Samples, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder

log = logging.getLogger(__name__)


def train(
    folder: RunFolder, recorder: Recorder, control: Control, *, own_process: bool = True
) -> Finished:
    """Train the run in `folder`, or go on with it where a checkpoint is.

    `own_process` says that nobody else lives in this process, so that the hub may be switched off
    for all of it. Raises UserError for what the user can mend, StoppedError if stopped before the
    first step.
    """
    started = time.monotonic()
    resolved = read_resolved(folder.resolved)
    loaded = load_config(folder.config)
    config = resolved.config if resolved is not None else loaded.config
    recorder.hardware_seconds = config.logging.hardware_seconds
    logging.getLogger("trainer_core").setLevel(config.logging.level)

    quieten(offline=own_process and is_local(config.model.base))
    choice = choose_backend(config.model.backend)
    backend = _import_backend(choice, recorder)
    _check(control)

    ready = make_ready(
        config, loaded.given, resolved, choice, recorder, control, own_process=own_process
    )
    resume_from = _resume_point(folder)
    if resolved is None:
        write_resolved(folder.resolved, ready.run)
    run = ready.run
    recorder.record(
        Plan(
            total_steps=run.total_steps,
            epochs=run.epochs,
            values=run.values(),
            reasons=run.reasons(),
            resumed_from=_step(resume_from),
        )
    )
    model = _load_model(backend, ready, recorder)
    _check(control)
    return _train(folder, recorder, control, backend, ready, model, resume_from, started)


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
    import torch

    config = ready.run.config
    recorder.record(Stage(stage="loading", detail=config.model.base))
    began = time.monotonic()
    try:
        model = backend.load(ready.base, config, getattr(torch, config.model.dtype))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"the model {config.model.base} cannot be loaded: {reason}") from error
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


def _train(
    folder: RunFolder,
    recorder: Recorder,
    control: Control,
    backend: Any,
    ready: Ready,
    model: Any,
    resume_from: Path | None,
    started: float,
) -> Finished:
    from transformers import AutoTokenizer

    from trainer_core.engine.adapter import save_adapter
    from trainer_core.engine.answers import answer_prompts
    from trainer_core.engine.attention import attend_by_example, require_packing
    from trainer_core.engine.batches import collator, to_dataset
    from trainer_core.engine.loop import Loop, loop_config

    run, training = ready.run, ready.run.config.training
    encoder = ready.encoder
    template = encoder.tokenizer.template if run.config.model.template else None

    def answer(when: Literal["before", "after"], step: int) -> None:
        if training.sample_prompts and not control.stopping:
            recorder.record(Stage(stage="answering", detail=f"{when} training"))
            with backend.answering(model):
                answers = answer_prompts(
                    model, encoder, training.sample_prompts, training.sample_tokens, control
                )
            recorder.record(Samples(when=when, step=step, answers=answers))

    if training.packing != "off":
        attend_by_example(model)
        difference = require_packing(model, run.config.model.backend)
        log.info("packed examples do not see one another (logits differ by %.1e)", difference)
    if resume_from is None:
        answer("before", 0)
    _check(control)
    loop = Loop(
        folder=folder,
        recorder=recorder,
        wishes=control,
        keep=training.keep_checkpoints,
        model=model,
        args=loop_config(run.config, run.total_steps, folder, bool(ready.validation)),
        train_dataset=to_dataset(ready.train, ready.train_bins),
        eval_dataset=(
            to_dataset(ready.validation, ready.validation_bins) if ready.validation else None
        ),
        data_collator=collator(training.packing, encoder.tokenizer.pad_id),
        # TRL insists on one, and uses it for nothing: the examples are ready-made.
        processing_class=AutoTokenizer.from_pretrained(str(ready.base)),
    )
    loop.on_best = lambda: save_adapter(model, folder.adapter / "best", ready.base, template)
    control.holds_work = True
    detail = f"resumed at step {_step(resume_from)}" if resume_from else ""
    recorder.record(Stage(stage="training", detail=detail))
    loop.train(resume_from_checkpoint=str(resume_from) if resume_from else None)

    step = loop.state.global_step
    last = folder.adapter / "last"
    if not control.aborting:
        recorder.record(Stage(stage="saving", detail=str(last)))
        loop.save("end")
        save_adapter(model, last, ready.base, template)
    stopped = step < run.total_steps
    if not stopped:
        answer("after", step)
    history = [entry["loss"] for entry in loop.state.log_history if "loss" in entry]
    return Finished(
        outcome="stopped" if stopped else "finished",
        step=step,
        elapsed=time.monotonic() - started,
        saved="" if control.aborting else str(last),
        message=_ending(control, step) if stopped else "",
        summary={
            "first_loss": history[0] if history else None,
            "last_loss": history[-1] if history else None,
            "best_eval_loss": loop.best_loss,
            "best_eval_step": loop.best_step,
        },
    )


def _ending(control: Control, step: int) -> str:
    why = f" ({control.reason})" if control.reason else ""
    return (
        f"aborted at step {step}{why}"
        if control.aborting
        else f"stopped and saved at step {step}{why}"
    )


def _resume_point(folder: RunFolder) -> Path | None:
    """The newest whole checkpoint, if there is one: a run goes on where it was."""
    if not folder.checkpoints.is_dir():
        return None
    from trainer_core.engine.checkpoint import newest_checkpoint

    return newest_checkpoint(folder.checkpoints)


def _step(checkpoint: Path | None) -> int | None:
    return int(checkpoint.name.removeprefix("step-")) if checkpoint is not None else None


def _check(control: Control) -> None:
    if control.stopping:
        raise StoppedError("stopped before training began")
