"""What must be known before the examples are cut and packed: their lengths decide it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainer_core.config.schema import RunConfig
from trainer_core.planning import rules
from trainer_core.planning.facts import DataFacts, ModelFacts
from trainer_core.planning.rules import Reasoned

# Of these kinds of models it was shown that packed examples do not see one another.
PACKABLE = {"llama", "mistral", "qwen2", "qwen3", "gemma3_text", "phi3"}


@dataclass(frozen=True)
class LengthFacts:
    """Lengths of the training examples before any is cut, in tokens."""

    p99: int
    mean: float
    longest: int


@dataclass(frozen=True)
class DataStats:
    """What is known of the data: its facts, and the lengths of examples before any cut. `early` is
    what these decided, where the examples were cut already."""

    facts: DataFacts
    lengths: LengthFacts
    early: Mapping[str, Reasoned] = field(default_factory=dict)


def early_choices(
    config: RunConfig, model: ModelFacts, lengths: LengthFacts, most_tokens: int | None
) -> dict[str, Reasoned]:
    """`model.max_length` and `training.packing` as they will be, with the reason. `most_tokens` is
    what fits in memory at all; None where that is not known."""
    length, why = _max_length(config, model, lengths, most_tokens)
    found: dict[str, Reasoned] = {"model.max_length": (length, why)}
    packing: str = config.training.packing
    if packing == "auto":
        found["training.packing"] = _packing(config, model, lengths, length)
        packing = found["training.packing"][0]
    longer = rules.packed_length(length, model.context, most_tokens)
    if packing == "pack" and config.model.max_length == "auto" and longer is not None:
        found["model.max_length"] = longer
    return found


def _packing(config: RunConfig, model: ModelFacts, lengths: LengthFacts, length: int) -> Reasoned:
    training = config.training
    if any(
        size != "auto"
        for size in (training.batch_size, training.effective_batch, training.gradient_accumulation)
    ):
        return "off", "the batch is given in examples, which packed rows hold many of"
    if model.model_type not in PACKABLE:
        return "off", f"not tried with {model.model_type} models"
    return rules.packing(lengths.mean, min(lengths.longest, length))


def _max_length(
    config: RunConfig, model: ModelFacts, lengths: LengthFacts, most_tokens: int | None
) -> Reasoned:
    wish = config.model.max_length
    if wish != "auto":
        if wish > model.context:
            return (
                model.context,
                f"{wish:,} was asked for; the model's context is {model.context:,}",
            )
        return wish, "as configured"
    length, why = rules.max_length(lengths.p99, lengths.longest, model.context)
    # Where next to nothing fits, shorter examples are no way out: the memory plan says what is.
    if most_tokens is not None and rules.LENGTH_UNIT <= most_tokens < length:
        length = max(8, most_tokens // rules.LENGTH_UNIT * rules.LENGTH_UNIT or most_tokens)
        why = (
            f"memory holds no more than {most_tokens:,} tokens; the longest has {lengths.longest:,}"
        )
    return length, why
