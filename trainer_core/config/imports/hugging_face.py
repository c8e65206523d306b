"""Keys that several tools share, since they hand them on to Hugging Face's trainer."""

import math
from collections.abc import Mapping
from typing import Any

from trainer_core.config.imports.reading import Reading, Rule, Table, exists, expanded
from trainer_core.config.imports.rules import (
    given,
    needs,
    put_folder,
    settled,
    to,
    unsupported,
    word,
)
from trainer_core.config.imports.values import (
    blank,
    number,
    off,
    says_yes,
    share,
    text,
    whole,
    yes_no,
)
from trainer_core.config.imports.words import (
    OPTIMIZERS,
    OTHER_OPTIMIZERS,
    OTHER_SCHEDULERS,
    SCHEDULERS,
)
from trainer_core.config.yaml_file import Keys

_TRACKERS = ("tensorboard", "wandb", "trackio", "mlflow")
_HALVES = ("fp16", "bfloat16", "float16", "pure_bf16")


def steps_there(reading: Reading) -> int:
    """The steps of the whole run, where the file says how many; else 0."""
    steps = reading.value("max_steps")
    return 0 if blank(steps) else max(0, reading.coerced(("max_steps",), steps, whole))


def max_steps(reading: Reading, keys: Keys, value: Any) -> None:
    """-1 says that the epochs decide."""
    if steps_there(reading):
        reading.put("training.steps", steps_there(reading), keys)
    elif not blank(value):
        reading.settle(keys)


@given
def epochs(reading: Reading, keys: Keys, value: Any) -> None:
    """Where there are steps too, they decide."""
    if steps_there(reading):
        reading.note(keys, "has no say, since max_steps decides")
    else:
        reading.put("training.epochs", reading.coerced(keys, value, number), keys)


def steps_between(ours: str) -> Rule:
    """A number of steps, or a share of all."""

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        steps = reading.coerced(keys, value, share)
        if 0 < steps < 1 and steps_there(reading):
            reading.put(ours, max(1, math.ceil(steps * steps_there(reading))), keys)
        elif 0 < steps < 1:
            reading.note(keys, f"is a share of all steps; {ours} counts steps, so it is auto here")
        elif steps == 0:
            reading.settle(keys)
        else:
            reading.put(ours, reading.coerced(keys, value, whole), keys)

    return rule


def once_in_so_many(ours: str) -> Rule:
    """So many times an epoch."""

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        reading.coerced(keys, value, number)
        reading.note(keys, f"counts times an epoch; {ours} counts steps, so it is auto here")

    return rule


def strategy(what: str, ours: str) -> Rule:
    """When something is done: at steps, at the ends of epochs, or never."""

    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if blank(value) or value == "steps":
            settled(reading, keys, value)
        elif off(value):
            reading.note(keys, f"is {value!r}, but a run always {what}; {ours} says how often")
        else:
            reading.note(keys, f"is {value!r}; {ours} counts steps, and is auto if not given")

    return rule


@given
def warmup_ratio(reading: Reading, keys: Keys, value: Any) -> None:
    """A share of all steps, which are known only where max_steps is."""
    ratio = reading.coerced(keys, value, share)
    if keys != ("warmup_steps",) and not off(reading.value("warmup_steps")):
        reading.note(keys, "has no say, since warmup_steps decides")
    elif ratio == 0 or (0 < ratio < 1 and steps_there(reading)):
        reading.put("training.warmup_steps", math.ceil(ratio * steps_there(reading)), keys)
    elif 0 < ratio < 1:
        reading.note(
            keys,
            "is a share of all steps, and how many those are is not in the file; "
            "training.warmup_steps is auto: 5 %, at most 100",
        )
    else:
        raise reading.refusal(keys, "should be a share below 1", value)


@given
def warmup_steps(reading: Reading, keys: Keys, value: Any) -> None:
    """A number of steps, in newer versions also a share of all; 0 where a share is given beside."""
    steps = reading.coerced(keys, value, share)
    if 0 < steps < 1:
        warmup_ratio(reading, keys, value)
    elif steps == 0 and not off(reading.value("warmup_ratio")):
        reading.settle(keys)
    else:
        reading.put("training.warmup_steps", reading.coerced(keys, value, whole), keys)


@given
def precision(reading: Reading, keys: Keys, value: Any) -> None:
    """bf16 and fp16; neither of them is float32."""
    if says_yes(value) or value == "full":
        reading.put("training.precision", "bfloat16" if keys == ("bf16",) else "float16", keys)
    elif keys == ("fp16",) or value == "auto" or any(says_yes(reading.value(h)) for h in _HALVES):
        reading.settle(keys)
    else:
        reading.coerced(keys, value, yes_no)
        reading.put("training.precision", "float32", keys)


def weights(dtype: str) -> Rule:
    """The weights themselves are kept in this format."""

    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if says_yes(value):
            reading.put("model.dtype", dtype, keys)
        elif not blank(value):
            reading.settle(keys)

    return rule


def trust(reading: Reading, keys: Keys, value: Any) -> None:
    """Only a literal true lets code of a model run."""
    if value is True:
        reading.put("model.trust_remote_code", True, keys)
        reading.note(keys, "lets Python code that comes with the model run; read it first")
    elif says_yes(value):
        reading.note(keys, f"is {value!r}, and only a literal true lets a model's own code run")
    elif not blank(value):
        reading.settle(keys)


def attention(words: Mapping[str, str], others: Mapping[str, str]) -> Rule:
    """How attention is computed, by its name."""
    named = word("model.attention", words, others)

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        named(reading, keys, value)
        if (reading.get("model.attention") or "auto") != "auto":
            reading.note(keys, "counts under the transformers backend; Unsloth brings its own")

    return rule


def validation_size(files: str) -> Rule:
    """A share of the rows, or their number; without a say where `files` names validation rows."""

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        size = reading.coerced(keys, value, number)
        if not off(reading.value(files)):
            reading.settle(keys)
        elif 0 <= size < 1:
            shares = {"train": round(1 - size, 9), "validation": size}
            reading.put("data.split.fractions", shares, keys)
        elif size >= 1:
            reading.note(
                keys,
                "is a number of rows, and data.split.fractions takes shares: 5 % are held back, "
                "at most 200",
            )
        else:
            raise reading.refusal(keys, "should not be negative", value)

    return rule


def template(families: Mapping[str, str]) -> Rule:
    """The name of a chat template: a family of ours, or else what the model brings."""

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if str(value) in families:
            reading.put("model.template", families[str(value)], keys)
        else:
            reading.note(
                keys,
                f"is {value!r}, which is no family of templates here, so the model's own is used; "
                "model.template takes a Jinja file too",
            )

    return rule


def trackers(reading: Reading, keys: Keys, value: Any) -> None:
    """One tracker, a list of them, or none."""
    listed = value if isinstance(value, list) else [value]
    known = [str(name) for name in listed if name in _TRACKERS]
    others = [str(name) for name in listed if name not in _TRACKERS and not off(name)]
    if known:
        reading.put("tracking.to", known, keys)
    elif not others:
        settled(reading, keys, value)
    if others:
        here = ", ".join(_TRACKERS)
        reading.note(keys, f"names {', '.join(others)}, which is not a tracker here ({here})")


def found(reading: Reading, path: str) -> str:
    """A path as it is meant: these tools read it from the folder that they are started in, so
    where there is nothing beside the file, but there is here, it is made absolute."""
    here = expanded(path)
    return str(here.absolute()) if not reading.lies_beside(path) and exists(here) else path


def path_to(ours: str) -> Rule:
    """A path, or a name on the hub."""

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        reading.put(ours, found(reading, reading.coerced(keys, value, text)), keys)

    return rule


@given
def dora(reading: Reading, keys: Keys, value: Any) -> None:
    """DoRA, which one of the backends trains."""
    to("lora.dora", yes_no)(reading, keys, value)
    if reading.get("lora.dora"):
        reading.note(keys, "takes the transformers backend (model.backend)")


_ADAM = unsupported("the optimizer keeps its usual settings")
_SEVERAL = unsupported("a run is on one device; training.batch_size is what fits there")
_HUB = unsupported("a run pushes nothing to a hub")

TRAINER: Table = {
    "output_dir": put_folder,
    "gradient_accumulation_steps": to("training.gradient_accumulation", whole),
    "learning_rate": to("training.learning_rate", number),
    "max_steps": max_steps,
    "warmup_steps": warmup_steps,
    "warmup_ratio": warmup_ratio,
    "weight_decay": to("training.weight_decay", number),
    "max_grad_norm": to("training.max_grad_norm", number),
    "lr_scheduler_kwargs": unsupported("schedules have no further settings here"),
    "optim_args": _ADAM,
    "adam_beta1": _ADAM,
    "adam_beta2": _ADAM,
    "adam_epsilon": _ADAM,
    "seed": to("training.seed", whole),
    "bf16": precision,
    "fp16": precision,
    "tf32": unsupported("PyTorch's own setting stays"),
    "eval_steps": steps_between("training.eval_steps"),
    "eval_strategy": strategy("validates", "training.eval_steps"),
    "evaluation_strategy": strategy("validates", "training.eval_steps"),
    "save_steps": steps_between("training.save_steps"),
    "save_strategy": strategy("saves", "training.save_steps"),
    "save_total_limit": to("training.keep_checkpoints", whole),
    "save_only_model": needs(False, "is not supported: every checkpoint can be resumed from"),
    "load_best_model_at_end": settled,
    "metric_for_best_model": settled,
    "greater_is_better": settled,
    "logging_steps": settled,
    "include_tokens_per_second": settled,
    "resume_from_checkpoint": unsupported("`backprop train --resume RUN` goes on with a run"),
    "trust_remote_code": trust,
    "low_cpu_mem_usage": settled,
    "group_by_length": unsupported("training.packing saves the padding that it is for"),
    "dataloader_num_workers": settled,
    "dataloader_pin_memory": settled,
    "remove_unused_columns": settled,
    "ddp_timeout": settled,
    "neftune_noise_alpha": unsupported("no noise is added to embeddings"),
    "torch_compile": unsupported("the model is not compiled"),
    "deepspeed": _SEVERAL,
    "fsdp": _SEVERAL,
    "fsdp_config": _SEVERAL,
    "hub_model_id": _HUB,
    "hub_strategy": _HUB,
}
_named_scheduler = word("training.scheduler", SCHEDULERS, OTHER_SCHEDULERS)
optimizer = word("training.optimizer", OPTIMIZERS, OTHER_OPTIMIZERS)


def scheduler(reading: Reading, keys: Keys, value: Any) -> None:
    """How the rate falls. There, a constant rate has no warmup unless its name says so."""
    _named_scheduler(reading, keys, value)
    if str(value).strip().lower() != "constant" or reading.has("training.warmup_steps"):
        return
    if all(off(reading.value(*keys[:-1], name)) for name in ("warmup_steps", "warmup_ratio")):
        reading.put("training.warmup_steps", 0, keys)
    else:
        reading.note(keys, "had no warmup there; here the rate rises over training.warmup_steps")
