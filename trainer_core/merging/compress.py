"""The sum of two products B A as one product of their rank, as near as can be."""

import torch

from trainer_core.merging.state import plain

Pair = tuple[torch.Tensor, torch.Tensor]


def nearest(old: Pair, new: Pair, share: float) -> Pair:
    """A [rank, in] and B [out, rank] whose B A is nearest to (1 - share) B₀ A₀ + share B₁ A₁, in
    the Frobenius norm (Eckart and Young 1936); exact where that sum has no higher rank.

    No matrix of [out, in] is made: the factors side by side have twice the rank, a QR of each
    leaves a core of so many rows and columns, and the SVD is the core's. The square root of each
    singular value goes to either side. In float32 on the CPU.
    """
    rank = len(new[0])
    a = torch.cat([plain(old[0]), plain(new[0])])  # [2 rank, in]
    b = torch.cat([(1 - share) * plain(old[1]), share * plain(new[1])], dim=1)  # [out, 2 rank]
    q_a, r_a = torch.linalg.qr(a.T)
    q_b, r_b = torch.linalg.qr(b)
    left, values, right = torch.linalg.svd(r_b @ r_a.T, full_matrices=False)
    roots = values[:rank].sqrt()
    cut_a = (roots[:, None] * right[:rank]) @ q_a.T
    cut_b = (q_b @ left[:, :rank]) * roots
    missing = rank - len(roots)  # of a layer narrower than the rank
    if missing:
        cut_a = torch.nn.functional.pad(cut_a, (0, 0, 0, missing))
        cut_b = torch.nn.functional.pad(cut_b, (0, missing))
    return cut_a.contiguous(), cut_b.contiguous()
