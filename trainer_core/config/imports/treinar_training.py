"""treinar_unsloth: how to train, in whichever of its generations."""

from typing import Any

from trainer_core.config.imports.hugging_face import optimizer, scheduler
from trainer_core.config.imports.reading import Reading, Rule, Table
from trainer_core.config.imports.rules import (
    given,
    needs,
    read_with_others,
    settled,
    to,
    unsupported,
    wanted,
)
from trainer_core.config.imports.values import (
    blank,
    names,
    number,
    off,
    says_yes,
    share,
    whole,
    yes_no,
)
from trainer_core.config.yaml_file import Keys

NOW_EFFECTIVE = "was ignored by many versions of the tool, and takes effect here"
_LEFT_TO_FULL = "has no say: all weights are trained"


def method(reading: Reading, stage: Keys, rank: Keys) -> bool:
    """Whether all weights are trained: a stage says so, or the rank is there and 0 or empty. Sets
    training.method where one of them says so."""
    kind = reading.value(*stage, "tipo") if stage else None
    if not blank(kind):
        word = str(kind).strip().lower()
        if word not in ("lora", "full"):
            raise reading.refusal((*stage, "tipo"), "should be lora or full", kind)
        reading.put("training.method", word, (*stage, "tipo"))
        return word == "full"
    if rank in reading.source.lines and off(reading.value(*rank)):
        reading.put("training.method", "full", rank)
        return True
    return False


def training(full: bool, *, ignored: bool = False, sdpa: bool | None = None) -> Table:
    """The keys of `treinamento`. `ignored`: the tool had keys without effect. `sdpa` is given where
    the newer keys are known too, and says whether full_com_sdpa counts."""
    effective = NOW_EFFECTIVE if ignored else ""
    table: dict[str, Rule | Table] = {
        "eval_steps": share_of_epoch,
        "batch_size": batch_size,
        "grad_batch_size": accumulation,
        "num_train_epochs": to("training.epochs", number, effective),
        "epochs": to("training.epochs", number, effective),
        "max_seq_length": max_length,
        "learning_rate": to("training.learning_rate", number),
        "warmup_steps": to("training.warmup_steps", whole),
        "nbits": bits(full),
        "seed": to("training.seed", whole),
        "save_checkpoints": save_checkpoints,
        "resume_from_checkpoint": unsupported(
            "a run starts anew, and `backprop train --resume RUN` goes on with one"
        ),
        "train_on_responses_only": answers_only(effective),
        "weight_decay": to("training.weight_decay", number),
        "optim": optimizer,
        "lr_scheduler_type": scheduler,
    }
    if sdpa is None:
        return table
    return {
        **table,
        "eval_global": unsupported("a validation always takes the whole validation split"),
        "filtrar_max_seq_length": too_long,
        "save_checkpoints_qtd": to("training.keep_checkpoints", whole),
        "max_grad_norm": to("training.max_grad_norm", number),
        "flash_attention_2": attention("flash_attention_2", wanted=not sdpa),
        "full_com_sdpa": attention("sdpa", wanted=sdpa),
        "liger_kernel": unsupported("Unsloth brings kernels of its own"),
        "low_cpu_mem_usage": settled,
        "fusao": unsupported("an adapter is merged by export.merged, after the run"),
    }


def lora(full: bool, *, ignored: bool = False, prefix: str = "") -> Table:
    """The keys of `lora`, or those of a flat file, which begin with `prefix`."""
    effective = NOW_EFFECTIVE if ignored else ""
    rules: dict[str, Rule | Table] = {
        f"{prefix}r": rank(full),
        f"{prefix}alpha": _of_adapter(full, to("lora.alpha", number)),
        f"{prefix}dropout": _of_adapter(full, to("lora.dropout", number, effective)),
        "target_modules": _of_adapter(full, targets(effective)),
    }
    return rules


def rank(full: bool) -> Rule:
    """0 or nothing trains all weights, unless a stage says otherwise."""

    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if not off(value):
            _of_adapter(full, to("lora.rank", whole))(reading, keys, value)
        elif full:
            reading.note(keys, "is empty or 0: all weights are trained (training.method: full)")
        else:
            reading.note(keys, "is empty or 0, but the stage trains an adapter: lora.rank is auto")

    return rule


def _of_adapter(full: bool, rule: Rule) -> Rule:
    """A rule that counts only where an adapter is trained."""

    def without(reading: Reading, keys: Keys, value: Any) -> None:
        if not blank(value):
            reading.note(keys, _LEFT_TO_FULL)

    return without if full else rule


def targets(effective: str) -> Rule:
    """A list of modules, or all-linear."""

    @wanted
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        modules = reading.coerced(keys, value, names)
        reading.put("lora.targets", "all-linear" if modules == ["all-linear"] else modules, keys)
        if effective:
            reading.note(keys, effective)

    return rule


@given
def share_of_epoch(reading: Reading, keys: Keys, value: Any) -> None:
    """A number of steps, or a share of the steps of an epoch, as in 15%."""
    steps = reading.coerced(keys, value, share)
    if 0 <= steps < 1 or str(value).strip().endswith("%"):
        reading.note(
            keys,
            f"is {value}, a share of an epoch; training.eval_steps counts steps, so it is auto "
            "here: a tenth of the run, at most 500",
        )
    else:
        reading.put("training.eval_steps", reading.coerced(keys, value, whole), keys)


def batch_size(reading: Reading, keys: Keys, value: Any) -> None:
    """A number, or {efetivo, batch_size}: the examples of a step, and those of a micro-batch."""
    if not isinstance(value, dict):
        to("training.batch_size", whole)(reading, keys, value)
        return
    size_at, all_at = (*keys, "batch_size"), (*keys, "efetivo")
    reading.follow({"efetivo": read_with_others, "batch_size": read_with_others}, value, keys)
    size, examples = (
        None if blank(value.get(name)) else reading.coerced((*keys, name), value[name], whole)
        for name in ("batch_size", "efetivo")
    )
    for at, count in ((size_at, size), (all_at, examples)):
        if count is not None and count < 1:
            raise reading.refusal(at, "should be at least 1", count)
    if size is not None:
        reading.put("training.batch_size", size, size_at)
    if size is None and examples is not None:
        reading.put("training.effective_batch", examples, all_at)
    elif size is not None and examples is not None:
        steps = max(1, round(examples / size))
        reading.put("training.gradient_accumulation", steps, all_at)
        if steps * size != examples:
            reading.note(all_at, f"is no multiple of {size}: {steps * size} examples make a step")


def accumulation(reading: Reading, keys: Keys, value: Any) -> None:
    """Micro-batches of a step; batch_size.efetivo says it in another way."""
    said = reading.has("training.effective_batch") or reading.has("training.gradient_accumulation")
    if said or _effective_of(reading, keys) is not None:
        reading.note(keys, "has no say, since batch_size.efetivo decides")
    else:
        to("training.gradient_accumulation", whole)(reading, keys, value)


def _effective_of(reading: Reading, keys: Keys) -> Any:
    beside = reading.value(*keys[:-1], "batch_size")
    return beside.get("efetivo") if isinstance(beside, dict) else None


@given
def max_length(reading: Reading, keys: Keys, value: Any) -> None:
    """Tokens of the longest example; 0: as many as the longest one has."""
    length = reading.coerced(keys, value, whole)
    if length == 0:
        reading.note(keys, "is 0: model.max_length is auto, which 99 of 100 examples fit into")
        return
    reading.put("model.max_length", length, keys)


@given
def too_long(reading: Reading, keys: Keys, value: Any) -> None:
    """Whether rows over max_seq_length are left out."""
    drop = reading.coerced(keys, value, yes_no)
    reading.put("data.too_long", "drop" if drop else "truncate", keys)


def bits(full: bool) -> Rule:
    """Bits of the base's weights."""

    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        count = 0 if off(value) else reading.coerced(keys, value, whole)
        if count not in (0, 4, 8, 16):
            raise reading.refusal(keys, "should be 4, 8, 16, 0 or empty", value)
        if count in (4, 8) and full:
            reading.note(keys, f"is {count}, but all weights are trained, so none is quantised")
            count = 16
        kind = f"{count}bit" if count in (4, 8) else "none"
        reading.put("model.quantization", kind, keys)

    return rule


@given
def save_checkpoints(reading: Reading, keys: Keys, value: Any) -> None:
    """A run always saves; what can be said is that nothing stays."""
    if reading.coerced(keys, value, yes_no):
        reading.settle(keys)
    else:
        reading.put("training.remove_checkpoints", True, keys)
        reading.note(keys, "is off, but a run always saves: its checkpoints go when it finishes")


def answers_only(effective: str) -> Rule:
    """Only answers are trained here."""
    otherwise = needs(
        True,
        "is off, but only answers are trained here; rows of plain text are trained whole "
        "(data.train.0.columns: {text: …})",
    )

    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if effective and says_yes(value):
            reading.note(keys, effective)
        else:
            otherwise(reading, keys, value)

    return rule


def attention(kind: str, *, wanted: bool) -> Rule:
    """How attention is computed, unless another key decides (not `wanted`)."""

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if reading.coerced(keys, value, yes_no) and wanted:
            reading.put("model.attention", kind, keys)
            reading.note(keys, "counts under the transformers backend; Unsloth brings its own")
        else:
            reading.settle(keys)

    return rule
