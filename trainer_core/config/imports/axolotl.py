"""Axolotl's config files. Keys and their meaning are those of its documentation in 2025."""

from trainer_core.config.imports.axolotl_datasets import read_datasets
from trainer_core.config.imports.axolotl_rules import (
    adapter,
    attends,
    chat_template,
    chat_template_jinja,
    checkpointing,
    load_in,
    loftq,
    packing,
    target_linear,
    target_modules,
    tracker,
)
from trainer_core.config.imports.hugging_face import (
    TRAINER,
    attention,
    dora,
    epochs,
    once_in_so_many,
    optimizer,
    path_to,
    scheduler,
    steps_there,
    validation_size,
    weights,
)
from trainer_core.config.imports.reading import Reading, Table
from trainer_core.config.imports.rules import (
    needs,
    put_name,
    settled,
    to,
    unsupported,
    word,
)
from trainer_core.config.imports.values import blank, number, off, text, whole, yes_no

AXOLOTL = "Axolotl"

_INITS = {
    "true": "default",
    "gaussian": "gaussian",
    "pissa": "pissa",
    "olora": "olora",
    "loftq": "loftq",
}
_OTHER_INITS = dict.fromkeys(("false", "eva", "corda", "orthogonal", "lora_ga"), "default")
_ATTENTION = {name: name for name in ("sdpa", "eager", "flash_attention_2")}
_OTHER_ATTENTION = dict.fromkeys(("flash_attention_3", "flex_attention", "xformers", "sage"), "")
_WEIGHTS = unsupported("the layers that train are those of training.method and lora.targets")
_TOKENS = unsupported("the tokenizer stays as it comes with the model")
_KERNELS = unsupported("Unsloth brings kernels of its own")
_WANDB = unsupported("set it in the environment, as WANDB_… , where Weights & Biases reads it")
_SHARDS = unsupported("a data source has a limit instead")


def read_axolotl(reading: Reading) -> dict[str, tuple[str, str]]:
    """Set our fields from a file; gives what Axolotl would have taken for others."""
    _refuse_other_training(reading)
    reading.follow(TABLE, reading.source.data)
    if blank(reading.value("adapter")):
        reading.put("training.method", "full", ("adapter",))
        reading.note(("adapter",), "names none: all weights are trained (training.method: full)")
    if reading.has("data.validation"):
        defaults = {key: old for key, old in _DEFAULTS.items() if key != "data.split.fractions"}
    else:
        defaults = dict(_DEFAULTS)
    if steps_there(reading):
        defaults.pop("training.epochs")
    return defaults


def _refuse_other_training(reading: Reading) -> None:
    for key in ("rl", "reward_model", "process_reward_model"):
        value = reading.value(key)
        if not off(value):
            raise reading.refusal(
                (key,), "asks for another training than on answers, which there is not here", value
            )
    if blank(reading.value("datasets")) and not off(reading.value("pretraining_dataset")):
        raise reading.refusal(
            ("pretraining_dataset",),
            "streams text, which is not supported",
            hint="Name it under datasets, with type: completion.",
        )


_DEFAULTS = {
    "training.epochs": ("num_epochs", "1"),
    "training.batch_size": ("micro_batch_size", "1"),
    "training.scheduler": ("lr_scheduler", "cosine"),
    "training.weight_decay": ("weight_decay", "0"),
    "model.max_length": ("sequence_len", "512"),
    "data.split.fractions": ("val_set_size", "0"),
}
TABLE: Table = {
    **TRAINER,
    "base_model": path_to("model.base"),
    "revision_of_model": to("model.revision", text),
    "base_model_config": unsupported("the config of the base model is taken"),
    "tokenizer_config": _TOKENS,
    "model_type": settled,
    "tokenizer_type": settled,
    "tokenizer_use_fast": settled,
    "tokenizer_legacy": settled,
    "processor_type": settled,
    "is_falcon_derived_model": settled,
    "is_llama_derived_model": settled,
    "is_mistral_derived_model": settled,
    "is_qwen_derived_model": settled,
    "strict": settled,
    "adapter": adapter,
    "load_in_8bit": load_in(8),
    "load_in_4bit": load_in(4),
    "gptq": unsupported("a base model that is quantised to 4 bits by bitsandbytes can be trained"),
    "bnb_config_kwargs": unsupported("4 bits are nf4 with double quantisation"),
    "lora_r": to("lora.rank", whole),
    "lora_alpha": to("lora.alpha", number),
    "lora_dropout": to("lora.dropout", number),
    "lora_target_modules": target_modules,
    "lora_target_linear": target_linear,
    "lora_target_parameters": _WEIGHTS,
    "lora_modules_to_save": _WEIGHTS,
    "lora_fan_in_fan_out": settled,
    "lora_model_dir": path_to("lora.adapter"),
    "lora_mlp_kernel": _KERNELS,
    "lora_qkv_kernel": _KERNELS,
    "lora_o_kernel": _KERNELS,
    "peft_layers_to_transform": _WEIGHTS,
    "peft_layers_pattern": _WEIGHTS,
    "peft_use_dora": dora,
    "peft_use_rslora": to("lora.rslora", yes_no),
    "peft_init_lora_weights": word("lora.init", _INITS, _OTHER_INITS),
    "peft": {"loftq_config": loftq},
    "loraplus_lr_ratio": unsupported("both halves of an adapter learn at one rate"),
    "loraplus_lr_embedding": settled,
    "unfrozen_parameters": _WEIGHTS,
    "relora": unsupported("an adapter is merged after the run only"),
    "sequence_len": to("model.max_length", whole),
    "excess_length_strategy": word(
        "data.too_long", {"drop": "drop", "truncate": "truncate", "raise": "strict"}
    ),
    "min_sample_len": to(
        "data.min_tokens",
        whole,
        "makes shorter rows a problem here; data.problems: skip drops them",
    ),
    "sample_packing": packing,
    "batch_flattening": packing,
    "eval_sample_packing": settled,
    "sample_packing_group_size": settled,
    "sample_packing_bin_size": settled,
    "pad_to_sequence_len": settled,
    "datasets": read_datasets("data.train"),
    "test_datasets": read_datasets("data.validation"),
    "pretraining_dataset": unsupported("name it under datasets, with type: completion"),
    "dataset_prepared_path": settled,
    "dataset_processes": to("data.workers", whole),
    "dataset_num_proc": to("data.workers", whole),
    "dataset_exact_deduplication": word("data.duplicates", {"true": "drop", "false": "keep"}),
    "dataset_shard_num": _SHARDS,
    "dataset_shard_idx": _SHARDS,
    "shuffle_merged_datasets": needs(True, "is off, but rows are always shuffled, by the seed"),
    "val_set_size": validation_size("test_datasets"),
    "micro_batch_size": to("training.batch_size", whole),
    "batch_size": to("training.effective_batch", whole),
    "eval_batch_size": settled,
    "num_epochs": epochs,
    "optimizer": optimizer,
    "lr_scheduler": scheduler,
    "cosine_min_lr_ratio": unsupported("the rate falls to 0"),
    "cosine_constant_lr_ratio": unsupported("the rate falls to 0"),
    "embedding_lr": unsupported("all that trains has one rate"),
    "lr_groups": unsupported("all that trains has one rate"),
    "bfloat16": weights("bfloat16"),
    "float16": weights("float16"),
    "float32": weights("float32"),
    "gradient_checkpointing": checkpointing,
    "gradient_checkpointing_kwargs": settled,
    "early_stopping_patience": to("training.patience", whole),
    "saves_per_epoch": once_in_so_many("training.save_steps"),
    "evals_per_epoch": once_in_so_many("training.eval_steps"),
    "eval_table_size": unsupported("training.sample_prompts are answered before and after"),
    "eval_max_new_tokens": to("training.sample_tokens", whole),
    "save_safetensors": settled,
    "auto_resume_from_checkpoints": TRAINER["resume_from_checkpoint"],
    "use_tensorboard": tracker("tensorboard"),
    "use_wandb": tracker("wandb"),
    "wandb_project": tracker("wandb"),
    "wandb_name": put_name,
    "wandb_entity": _WANDB,
    "wandb_watch": _WANDB,
    "wandb_run_id": _WANDB,
    "wandb_mode": _WANDB,
    "wandb_log_model": unsupported("models stay in the run folder"),
    "use_mlflow": tracker("mlflow"),
    "mlflow_experiment_name": tracker("mlflow"),
    "mlflow_tracking_uri": unsupported("set MLFLOW_TRACKING_URI in the environment"),
    "use_comet": unsupported("trackers are tensorboard, wandb, trackio and mlflow"),
    "use_trackio": tracker("trackio"),
    "trackio_project_name": tracker("trackio"),
    "chat_template": chat_template,
    "chat_template_jinja": chat_template_jinja,
    "default_system_message": unsupported("the system turns of the rows are taken"),
    "eot_tokens": _TOKENS,
    "special_tokens": _TOKENS,
    "tokens": _TOKENS,
    "added_tokens_overrides": _TOKENS,
    "resize_token_embeddings_to_32x": _TOKENS,
    "train_on_inputs": needs(False, "is on, but only answers are trained here"),
    "flash_attention": attends("flash_attention_2"),
    "sdp_attention": attends("sdpa"),
    "eager_attention": attends("eager"),
    "attn_implementation": attention(_ATTENTION, _OTHER_ATTENTION),
    "xformers_attention": unsupported("model.attention is sdpa, eager or flash_attention_2"),
    "flex_attention": unsupported("model.attention is sdpa, eager or flash_attention_2"),
    "s2_attention": unsupported("model.attention is sdpa, eager or flash_attention_2"),
    "flash_attn_cross_entropy": _KERNELS,
    "flash_attn_rms_norm": _KERNELS,
    "flash_attn_fuse_qkv": _KERNELS,
    "flash_attn_fuse_mlp": _KERNELS,
    "unsloth_lora_mlp": settled,
    "unsloth_lora_qkv": settled,
    "unsloth_lora_o": settled,
    "plugins": unsupported("there are no plugins here"),
    "liger_rope": _KERNELS,
    "liger_rms_norm": _KERNELS,
    "liger_glu_activation": _KERNELS,
    "liger_fused_linear_cross_entropy": _KERNELS,
    "device_map": unsupported("a run is on one device"),
    "gpu_memory_limit": unsupported("safety.memory_limit says how much memory may be planned with"),
    "hf_use_auth_token": settled,
    "push_dataset_to_hub": unsupported("a run pushes nothing to a hub"),
    "rl": settled,
    "reward_model": settled,
    "process_reward_model": settled,
    "loss_watchdog_threshold": unsupported("safety.bad_loss is for a loss that is not a number"),
    "loss_watchdog_patience": settled,
    "debug": settled,
}
