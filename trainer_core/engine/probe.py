"""Two real steps on the longest examples before the run, to see what memory it takes.

The steps change nothing: the learning rate is zero, the optimizer is thrown away with all it
keeps, and the random generators are put back. The first step allocates the optimizer's state, so
the second one shows the peak.
"""

import logging
from typing import Any

import numpy as np
import torch
from trl import SFTTrainer

from trainer_core.engine.batches import collator, to_dataset
from trainer_core.engine.loop_config import loop_config
from trainer_core.engine.loop_state import random_state, set_random_state
from trainer_core.engine.memory import forget_peak, let_go, measured_peak
from trainer_core.engine.preparing import Ready
from trainer_core.errors import BackpropError
from trainer_core.hardware.facts import machine_facts
from trainer_core.planning.corrections import load_corrections, remember
from trainer_core.planning.plan import way_to_fit
from trainer_core.runs.folder import RunFolder
from trainer_core.text import size

log = logging.getLogger(__name__)
STEPS = 2


def probe_if_wanted(model: Any, ready: Ready, folder: RunFolder, tokenizer: Any) -> None:
    """Measure, if the plan says so and no run like this one was measured here; keep what comes of
    it for later estimates. Raises BackpropError where the run cannot go on like this."""
    run, machine = ready.run, machine_facts()
    if run.config.safety.probe != "on" or run.memory is None:
        return
    wished = run.origins["safety.probe"].origin == "user"
    if not wished and load_corrections().has(run.config, ready.facts, machine):
        log.info("memory was measured before, for runs like this one on this machine")
        return
    try:
        peak = _probe(model, ready, folder, tokenizer)
    except torch.OutOfMemoryError:
        raise BackpropError(
            "the longest examples do not fit in memory: measured before the run",
            hint=way_to_fit(run),
        ) from None
    plan = run.memory
    remember(run.config, ready.facts, machine, peak, int(plan.total / plan.correction))
    log.info(
        "measured %s in %d steps on the longest examples; the estimate was %s (%+.0f %%)",
        size(peak),
        STEPS,
        size(plan.total),
        100 * (plan.total / peak - 1),
    )
    if peak > plan.budget and run.config.safety.over_memory == "stop":
        raise BackpropError(
            f"the longest examples take {size(peak)}, and {plan.device} has {size(plan.budget)}",
            hint=way_to_fit(run),
        )


def _probe(model: Any, ready: Ready, folder: RunFolder, tokenizer: Any) -> int:
    """The peak in bytes of STEPS steps, each of one micro-batch of the longest rows. Gradient
    accumulation does not change it: one micro-batch's activations are gone before the next one's
    come."""
    config = ready.run.config.model_copy(deep=True)
    config.training.__dict__.update(
        gradient_accumulation=1, warmup_steps=0, learning_rate=0.0, scheduler="constant"
    )
    args = loop_config(config, STEPS, folder, has_eval=False)
    args.save_strategy = "no"
    bins = ready.train_bins
    rows = to_dataset(ready.train, bins)
    random, training = random_state(), model.training
    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=rows.select(_longest(ready, args.per_device_train_batch_size)),
        data_collator=collator(config.training.packing, ready.encoder.tokenizer.pad_id),
        processing_class=tokenizer,
    )
    forget_peak()
    try:
        trainer.train()
        return measured_peak()
    finally:
        model.zero_grad(set_to_none=True)
        model.train(training)
        set_random_state(random)
        del trainer
        let_go()


def _longest(ready: Ready, batch_size: int) -> list[int]:
    """Enough of the longest rows for every step; the same ones again where there are few."""
    lengths, bins = ready.train.lengths, ready.train_bins
    if bins is not None:
        lengths = np.array([int(lengths[bins[row]].sum()) for row in range(len(bins))])
    order = np.argsort(lengths, kind="stable")[::-1][:batch_size]
    return np.resize(order, batch_size * STEPS).tolist()
