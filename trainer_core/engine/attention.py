"""Whether a model keeps packed examples apart: shown on the model itself, not taken for granted."""

from typing import Any

import torch

from trainer_core.errors import UserError

# The largest difference of logits, as a share of the largest logit.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 5e-2, torch.float16: 1e-2}


def require_packing(model: Any, backend: str) -> float:
    """The difference of `packing_difference`, if it is no more than rounding.

    Raises UserError if the backend lets packed examples see one another.
    """
    difference = packing_difference(model)
    if difference > TOLERANCE.get(model.dtype, 1e-2):
        raise UserError(
            f"the {backend} backend lets packed examples of this model see one another "
            f"(logits differ by {difference:.1%})",
            hint="Set training.packing: off, or try the other model.backend.",
        )
    return difference


def packing_difference(model: Any) -> float:
    """How much the logits of two short examples in one row differ from those of each alone: the
    largest difference as a share of the largest logit."""
    generator = torch.Generator().manual_seed(0)
    size = model.get_input_embeddings().weight.shape[0]
    first, second = (torch.randint(0, size, (length,), generator=generator) for length in (23, 17))
    was_training = model.training
    model.eval()
    try:
        alone = torch.cat([_logits(model, [first]), _logits(model, [second])])
        together = _logits(model, [first, second])
    finally:
        model.train(was_training)
    return float((alone - together).abs().max() / alone.abs().max())


def _logits(model: Any, examples: list[torch.Tensor]) -> torch.Tensor:
    ids = torch.cat(examples)[None].to(model.device)
    positions = torch.cat([torch.arange(len(example)) for example in examples])[None]
    with torch.no_grad():
        output = model(input_ids=ids, position_ids=positions.to(model.device), use_cache=False)
    return output.logits[0].float().cpu()
