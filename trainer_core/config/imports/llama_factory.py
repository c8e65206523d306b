"""LLaMA-Factory's config files. Keys and their meaning are those of its arguments in 2025."""

from typing import Any

from trainer_core.config.imports.hugging_face import (
    TRAINER,
    attention,
    dora,
    epochs,
    found,
    optimizer,
    path_to,
    scheduler,
    steps_there,
    template,
    trackers,
    validation_size,
    weights,
)
from trainer_core.config.imports.llama_factory_datasets import read_datasets
from trainer_core.config.imports.reading import Reading, Rule, Table
from trainer_core.config.imports.rules import (
    given,
    needs,
    put_name,
    read_with_others,
    settled,
    to,
    unsupported,
    usual,
    wanted,
    word,
)
from trainer_core.config.imports.values import (
    names,
    number,
    off,
    says_yes,
    text,
    whole,
    yes_no,
)
from trainer_core.config.yaml_file import Keys

LLAMA_FACTORY = "LLaMA-Factory"

_FAMILIES = {
    "alpaca": "alpaca",
    "chatml": "chatml",
    **dict.fromkeys(("deepseek", "deepseek3"), "deepseek"),
    **dict.fromkeys(("gemma", "gemma2", "gemma3"), "gemma"),
    "llama3": "llama-3",
    "mistral": "mistral",
    "phi": "phi-3",
    "phi4": "phi-4",
    "zephyr": "zephyr",
}
_DEFAULTS = {
    "training.epochs": ("num_train_epochs", "3"),
    "training.learning_rate": ("learning_rate", "5e-5"),
    "training.batch_size": ("per_device_train_batch_size", "8"),
    "training.weight_decay": ("weight_decay", "0"),
    "training.warmup_steps": ("warmup_steps", "0"),
    "model.max_length": ("cutoff_len", "2048"),
    "lora.rank": ("lora_rank", "8"),
    "data.split.fractions": ("val_size", "0"),
}
_TOKENS = unsupported("the tokenizer stays as it comes with the model")
_LAYERS = unsupported("the layers that train are those of training.method and lora.targets")
_OPTIMIZER = unsupported("training.optimizer names those that there are")
_FORMULA = unsupported("the loss is over trained tokens, and has no further terms")
_EXPORT = unsupported("a model is exported after the run")
_MACHINES = unsupported("a run is on one device")


def read_llama_factory(reading: Reading) -> dict[str, tuple[str, str]]:
    """Set our fields from a file; gives what LLaMA-Factory would have taken for others."""
    reading.follow(TABLE, reading.source.data)
    reading.put_with("model.max_length", "data.too_long", "truncate")
    if reading.has("lora.rank"):
        reading.put_with("lora.rank", "lora.alpha", 2 * reading.get("lora.rank"))
    defaults = dict(_DEFAULTS)
    if reading.has("data.validation"):
        defaults.pop("data.split.fractions")
    if not off(reading.value("warmup_ratio")):
        defaults.pop("training.warmup_steps")
    if steps_there(reading):
        defaults.pop("training.epochs")
    if reading.get("training.method") == "full":
        defaults.pop("lora.rank")
    return defaults


def stage(reading: Reading, keys: Keys, value: Any) -> None:
    """Supervised fine-tuning only."""
    if str(value).strip().lower() != "sft":
        raise reading.refusal(
            keys, "should be sft, the training on answers; there is no other here", value
        )
    reading.settle(keys)


@given
def method(reading: Reading, keys: Keys, value: Any) -> None:
    """An adapter, or all weights."""
    if value not in ("lora", "full"):
        raise reading.refusal(keys, "should be lora or full; there is no other here", value)
    reading.put("training.method", value, keys)


def of_adapter(rule: Rule) -> Rule:
    """A key that counts only where an adapter is trained."""

    def inner(reading: Reading, keys: Keys, value: Any) -> None:
        if reading.value("finetuning_type") == "full":
            settled(reading, keys, value)
        else:
            rule(reading, keys, value)

    return inner


@wanted
def targets(reading: Reading, keys: Keys, value: Any) -> None:
    """Names of modules, or all."""
    modules = reading.coerced(keys, value, names)
    everywhere = modules in (["all"], ["all-linear"])
    reading.put("lora.targets", "all-linear" if everywhere else modules, keys)


@given
def adapter(reading: Reading, keys: Keys, value: Any) -> None:
    """An adapter to go on with; of several only one can be."""
    first, *others = reading.coerced(keys, value, names)
    reading.put("lora.adapter", found(reading, first), keys)
    if others:
        reading.note(keys, f"names several, and a run goes on with one: {first}")


@wanted
def bits(reading: Reading, keys: Keys, value: Any) -> None:
    """Bits of the base's weights."""
    count = reading.coerced(keys, value, whole)
    if count in (4, 8):
        reading.put("model.quantization", f"{count}bit", keys)
    else:
        raise reading.refusal(keys, "should be 4 or 8", value)


@given
def packing(reading: Reading, keys: Keys, value: Any) -> None:
    """Several examples in a row; here none of them sees another."""
    if reading.coerced(keys, value, yes_no):
        reading.put("training.packing", "pack", keys)
        if keys == ("packing",) and not says_yes(reading.value("neat_packing")):
            reading.note(keys, "let examples in a row see each other there; here none does")
    elif keys == ("packing",) and not says_yes(reading.value("neat_packing")):
        reading.put("training.packing", "off", keys)
    else:
        reading.settle(keys)


@given
def no_checkpointing(reading: Reading, keys: Keys, value: Any) -> None:
    """Whether activations are kept, rather than computed again."""
    if says_yes(reading.value("use_unsloth_gc")):
        reading.settle(keys)
    else:
        kept = reading.coerced(keys, value, yes_no)
        reading.put("training.gradient_checkpointing", "off" if kept else "on", keys)


def switch(ours: str, wanted: str) -> Rule:
    """yes or no for something that is one of several words here."""

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if reading.coerced(keys, value, yes_no):
            reading.put(ours, wanted, keys)
        else:
            reading.settle(keys)

    return rule


TABLE: Table = {
    **TRAINER,
    "model_name_or_path": path_to("model.base"),
    "model_revision": to("model.revision", text),
    "adapter_name_or_path": adapter,
    "create_new_adapter": unsupported("a run goes on with the adapter that lora.adapter names"),
    "cache_dir": unsupported("HF_HOME in the environment says where models are kept"),
    "use_fast_tokenizer": settled,
    "resize_vocab": _TOKENS,
    "split_special_tokens": _TOKENS,
    "add_tokens": _TOKENS,
    "add_special_tokens": _TOKENS,
    "rope_scaling": unsupported("the model keeps the positions that it was made with"),
    "flash_attn": attention(
        {"auto": "auto", "disabled": "eager", "sdpa": "sdpa", "fa2": "flash_attention_2"},
        {"fa3": ""},
    ),
    "shift_attn": unsupported("attention is never shifted"),
    "use_unsloth": switch("model.backend", "unsloth"),
    "use_unsloth_gc": switch("training.gradient_checkpointing", "unsloth"),
    "enable_liger_kernel": unsupported("Unsloth brings kernels of its own"),
    "disable_gradient_checkpointing": no_checkpointing,
    "use_reentrant_gc": settled,
    "upcast_layernorm": unsupported("model.dtype and training.precision say what is computed how"),
    "upcast_lmhead_output": unsupported("model.dtype and training.precision say that"),
    "quantization_bit": bits,
    "quantization_method": usual(("bitsandbytes", "bnb"), "bitsandbytes quantises here"),
    "quantization_type": settled,
    "double_quantization": settled,
    "infer_backend": settled,
    "infer_dtype": settled,
    "use_kv_cache": settled,
    "stage": stage,
    "do_train": needs(True, "is off, but a config is for training"),
    "do_eval": settled,
    "do_predict": unsupported("`backprop predict` answers rows after the run"),
    "predict_with_generate": unsupported("`backprop predict` answers rows after the run"),
    "finetuning_type": method,
    "freeze_trainable_layers": _LAYERS,
    "freeze_trainable_modules": _LAYERS,
    "freeze_extra_modules": _LAYERS,
    "additional_target": _LAYERS,
    "lora_rank": of_adapter(to("lora.rank", whole)),
    "lora_alpha": of_adapter(to("lora.alpha", number)),
    "lora_dropout": of_adapter(to("lora.dropout", number)),
    "lora_target": of_adapter(targets),
    "loraplus_lr_ratio": unsupported("both halves of an adapter learn at one rate"),
    "use_rslora": of_adapter(to("lora.rslora", yes_no)),
    "use_dora": of_adapter(dora),
    "pissa_init": of_adapter(switch("lora.init", "pissa")),
    "pissa_iter": settled,
    "pissa_convert": unsupported("an adapter stays as it was trained"),
    "use_galore": _OPTIMIZER,
    "use_apollo": _OPTIMIZER,
    "use_badam": _OPTIMIZER,
    "use_muon": _OPTIMIZER,
    "use_adam_mini": _OPTIMIZER,
    "use_llama_pro": _LAYERS,
    "use_dft_loss": _FORMULA,
    "pure_bf16": weights("bfloat16"),
    "plot_loss": settled,
    "compute_accuracy": unsupported("a validation gives the loss"),
    "disable_shuffling": needs(False, "is on, but rows are always shuffled, by the seed"),
    "early_stopping_steps": to("training.patience", whole),
    "template": template(_FAMILIES),
    "dataset": read_datasets("data.train"),
    "eval_dataset": read_datasets("data.validation"),
    "dataset_dir": read_with_others,
    "media_dir": unsupported("models of text only are trained"),
    "cutoff_len": to("model.max_length", whole),
    "train_on_prompt": needs(False, "is on, but only answers are trained here"),
    "mask_history": word("data.train_on", {"true": "last", "false": "all"}),
    "streaming": unsupported("rows are read as they are needed anyway"),
    "mix_strategy": usual(("concat",), "a data source has a weight instead"),
    "interleave_probs": unsupported("a data source has a weight"),
    "overwrite_cache": settled,
    "preprocessing_batch_size": settled,
    "preprocessing_num_workers": to("data.workers", whole),
    "max_samples": read_with_others,
    "val_size": validation_size("eval_dataset"),
    "eval_on_each_dataset": unsupported("all validation rows make one loss"),
    "packing": packing,
    "neat_packing": packing,
    "tool_format": unsupported("the chat template writes calls of tools"),
    "tokenized_path": settled,
    "default_system": unsupported("the system turns of the rows are taken"),
    "enable_thinking": unsupported("the rows say what the model thinks"),
    "overwrite_output_dir": unsupported("a run never writes over another one"),
    "logging_strategy": settled,
    "logging_dir": settled,
    "per_device_train_batch_size": to("training.batch_size", whole),
    "per_device_eval_batch_size": settled,
    "num_train_epochs": epochs,
    "lr_scheduler_type": scheduler,
    "optim": optimizer,
    "report_to": trackers,
    "run_name": put_name,
    "data_seed": unsupported("training.seed is for the order of the rows too"),
    "use_swanlab": unsupported("trackers are tensorboard, wandb, trackio and mlflow"),
    "ray_run_name": _MACHINES,
    "ray_num_workers": _MACHINES,
    "export_dir": _EXPORT,
    "push_to_hub": unsupported("a run pushes nothing to a hub"),
}
