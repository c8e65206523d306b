"""A run's settings in TRL's words."""

import torch
from trl import SFTConfig

from trainer_core.config.schema import RunConfig
from trainer_core.planning.fitting import chunks_loss
from trainer_core.runs.folder import RunFolder

_OPTIMIZERS = {
    "adamw": "adamw_torch",
    "adamw_8bit": "adamw_bnb_8bit",
    "paged_adamw": "paged_adamw_32bit",
    "paged_adamw_8bit": "paged_adamw_8bit",
    "adafactor": "adafactor",
    "lion": "lion_32bit",
    "lion_8bit": "lion_8bit",
    "sgd": "sgd",
}
# Theirs does without a warmup.
_SCHEDULERS = {"constant": "constant_with_warmup"}


def loop_config(
    config: RunConfig, total_steps: int, folder: RunFolder, has_eval: bool
) -> SFTConfig:
    """Loss is over trained tokens, averaged over the whole effective batch."""
    training = config.training
    checkpointing = training.gradient_checkpointing != "off"
    # Autocast is for layers that compute in another format than their weights are kept in.
    mixed = training.precision != config.model.dtype or torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(folder.checkpoints),  # TRL writes nothing there: saving is ours
        max_steps=total_steps,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=training.batch_size,
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=training.learning_rate,
        lr_scheduler_type=_SCHEDULERS.get(training.scheduler, training.scheduler),
        # Theirs ends at 1e-7, which may be more than where it begins.
        lr_scheduler_kwargs={"lr_end": 0.0} if training.scheduler == "polynomial" else {},
        warmup_steps=training.warmup_steps,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        optim=_OPTIMIZERS[training.optimizer],
        seed=training.seed,
        bf16=mixed and training.precision == "bfloat16",
        fp16=mixed and training.precision == "float16",
        use_cpu=not torch.cuda.is_available(),
        eval_strategy="steps" if has_eval else "no",
        eval_steps=training.eval_steps if has_eval else None,
        metric_for_best_model="loss" if has_eval else None,
        greater_is_better=False if has_eval else None,
        save_strategy="steps",
        save_steps=training.save_steps,
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is not a number must be seen
        gradient_checkpointing=checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if checkpointing else None,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        loss_type="chunked_nll" if chunks_loss(config) else "nll",  # the same numbers
        max_length=None,  # TRL would cut at 1,024 tokens
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        disable_tqdm=True,
        report_to="none",  # trackers follow the run folder (worker/trackers.py)
        push_to_hub=False,
    )
