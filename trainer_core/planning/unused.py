"""What a config asks for and cannot have here: refused, or said, never passed over in silence."""

import difflib
from collections.abc import Mapping

from trainer_core.config.origin import Origin
from trainer_core.config.schema import RunConfig
from trainer_core.errors import UserError
from trainer_core.planning.facts import DataFacts, ModelFacts

# Beside the linear layers, these can have an adapter in most models.
_OTHERS = ("lm_head", "embed_tokens")


def require_targets(targets: str | list[str], model: ModelFacts) -> None:
    """Refuse the name of a module that the model does not have; one that is a path is left to the
    backend. Raises UserError with the nearest name."""
    if model.shape is None or isinstance(targets, str):
        return
    known = [*model.shape.modules(), *_OTHERS]
    for name in targets:
        last = name.rpartition(".")[2]
        if last not in known and last.replace("_", "").isalnum():
            near = difflib.get_close_matches(last, known, n=1, cutoff=0.5)
            raise UserError(
                f"lora.targets: {model.model_type} models have no {name}",
                hint=f"Did you mean {near[0]}?" if near else f"They have: {', '.join(known)}.",
            )


def unused(config: RunConfig, origins: Mapping[str, Origin], data: DataFacts) -> list[str]:
    """A sentence for each field that the user set and that changes nothing in this run."""
    training = config.training
    given = {name for name, origin in origins.items() if origin.origin == "user"}
    reasons = {
        "training.patience": (data.validation == 0, "there are no validation rows"),
        "training.eval_steps": (data.validation == 0, "there are no validation rows"),
        "training.min_delta": (training.patience is None, "training.patience is not set"),
        "training.sample_steps": (not training.sample_prompts, "there are no sample_prompts"),
        "training.sample_tokens": (not training.sample_prompts, "there are no sample_prompts"),
        "training.score_steps": (data.validation == 0, "there are no validation rows"),
        "tracking.project": (not config.tracking.to, "tracking.to names no tracker"),
    }
    reasons |= _of_multi_run(config)
    if training.method == "full":
        full = {name: (True, "all weights are trained") for name in given if name[:5] == "lora."}
        reasons |= full
    return [
        f"{name} changes nothing here: {why}"
        for name, (applies, why) in reasons.items()
        if applies and name in given
    ]


def _of_multi_run(config: RunConfig) -> dict[str, tuple[bool, str]]:
    wanted = config.multi_run
    single = (not wanted.several, "there is only one run")
    alone = ("merge", "replay", "replay_from", "last_learning_rate", "warmup", "patience",
             "eval_rows", "compare", "samples", "density")  # fmt: skip
    sparse = wanted.merge in ("ties", "dare-linear", "dare-ties")
    return {f"multi_run.{name}": single for name in alone} | {
        "multi_run.density": (not sparse, f"multi_run.merge is {wanted.merge}"),
        "multi_run.replay_from": (wanted.replay == 0, "multi_run.replay is 0"),
    }
