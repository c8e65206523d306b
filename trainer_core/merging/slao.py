"""SLAO: one adapter for a sequence of tasks, merged before it can forget.

Source: "Merge before Forget: A Single LoRA Continual Learning via Continual Merging", arXiv
2512.23017 (ICLR 2026), Algorithm 1. Of each layer two states are kept, the last fine-tuned and the
merged one. Run i >= 2 starts from the last fine-tuned: A made orthonormal (`orthogonal`), B as it
is. After it A of the merged adapter is replaced by the fine-tuned one, and B moves to it (`moved`)
by λ(i) (`share_of`). Everything here is computed in float32 on the CPU.
"""

import math

import torch

from trainer_core.merging.state import plain


def orthogonal(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A start for A whose rows are orthonormal and span what those of `a` [rank, in] do, and the
    [rank, rank] matrix R with `a` = Rᵀ times the start.

    The paper's initialisation: Q, R = qr(Aᵀ), each column of Q times the sign of R's diagonal, so
    that the result does not hang on the signs a QR happens to choose. A zero counts as positive: it
    would delete a column. Raises ValueError if the rank is more than the layer's input.
    """
    rank, width = a.shape
    if rank > width:
        raise ValueError(f"a rank of {rank} is more than the {width} inputs of the layer")
    q, r = torch.linalg.qr(plain(a).T)
    signs = torch.where(r.diagonal() < 0, -1.0, 1.0)
    return q.mul_(signs).T.contiguous(), r.mul_(signs[:, None])


def keep_function(b: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """B [out, rank] for the orthogonal start of A, such that B A does not change. An experiment,
    not the paper's: there the loss jumps as a run starts, because R is dropped."""
    return plain(b) @ r.T


def share_of(number: int) -> float:
    """λ(i) = 1/sqrt(i): how far the merged B moves to that of run i, counted from 1."""
    return 1 / math.sqrt(number)


def moved(merged: torch.Tensor, fine_tuned: torch.Tensor, share: float) -> torch.Tensor:
    """B_merged + λ (B_fine_tuned - B_merged), any one shape."""
    own = merged.detach().to(device="cpu", dtype=torch.float32, copy=True)
    return own.lerp_(plain(fine_tuned), share)
