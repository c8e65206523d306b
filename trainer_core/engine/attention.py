"""Attention in rows of several examples: each looks at itself only. That a model keeps to this is
shown on the model itself, not taken for granted."""

from typing import Any

import torch

from trainer_core.errors import UserError

BY_EXAMPLE = "by_example"

# The largest difference of logits, as a share of the largest logit.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 5e-2, torch.float16: 1e-2}


def attend_by_example(model: Any) -> None:
    """Let `model` attend to one example of a row at a time, where it would otherwise attend to the
    whole row through a mask: that takes the square of the row's length, and on a CPU more time than
    packing saves. On a GPU, and for models with an attention of their own, nothing changes.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if model.device.type == "cpu" and inner.config._attn_implementation == "sdpa":
        AttentionInterface.register(BY_EXAMPLE, _by_example)
        AttentionMaskInterface.register(BY_EXAMPLE, sdpa_mask)
        inner.set_attn_implementation(BY_EXAMPLE)


def _by_example(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    position_ids: torch.Tensor | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers' SDPA, [rows, heads, tokens, size] to [rows, tokens, heads, size], but piece
    by piece between the places where positions begin anew. A piece's mask is cut from the whole's,
    so what else a mask says (a sliding window) holds."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    def attend(rows: slice, tokens: slice) -> torch.Tensor:
        mask = attention_mask[rows, :, tokens, tokens] if attention_mask is not None else None
        parts = (states[rows, :, tokens] for states in (query, key, value))
        found: torch.Tensor = sdpa_attention_forward(module, *parts, mask, **options)[0]
        return found

    if position_ids is None or query.shape[2] != key.shape[2]:  # answering: one token at a time
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)[0], None
    rows = []
    for row, positions in enumerate(position_ids.expand(len(query), -1)):
        starts = [*(positions == 0).nonzero().flatten().tolist(), len(positions)]
        bounds = zip([0, *starts], starts, strict=False)
        pieces = [attend(slice(row, row + 1), slice(a, b)) for a, b in bounds if a < b]
        rows.append(torch.cat(pieces, dim=1))
    return torch.cat(rows), None


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
